import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const module = join(import.meta.dirname, '../src/cli/caught-signals.ts')

/** In a process of its own: signals arrive while it is busy, and their listeners are removed before they run. */
const inProcess = (script: string) =>
  spawnSync(
    process.execPath,
    ['--input-type=module', '-e', `import { caughtSignals } from ${JSON.stringify(module)};\n${script}`],
    {
      encoding: 'utf8',
    },
  )

const busy = `const wait = () => { const end = performance.now() + 100; while (performance.now() < end); };`

test('finds a signal that libuv has caught but no listener has received', () => {
  const { stdout, stderr } = inProcess(`${busy}
    process.on('SIGTERM', () => console.log('heard')); process.on('SIGINT', () => console.log('heard'));
    await new Promise((resolve) => setTimeout(resolve, 50));
    process.kill(process.pid, 'SIGTERM'); process.kill(process.pid, 'SIGINT'); wait();
    process.removeAllListeners('SIGTERM'); process.removeAllListeners('SIGINT');
    console.log(JSON.stringify(caughtSignals().sort()));
    process.exit()`)
  expect(stdout, stderr).toBe('[15,2]\n')
})

test('does not find a signal that a listener has received, nor one that was never sent', () => {
  const { stdout, stderr } = inProcess(`
    process.on('SIGTERM', () => console.log('heard'));
    process.kill(process.pid, 'SIGTERM');
    await new Promise((resolve) => setTimeout(resolve, 100));
    process.removeAllListeners('SIGTERM');
    console.log(JSON.stringify(caughtSignals()));
    process.exit()`)
  expect(stdout, stderr).toBe('heard\n[]\n')
})
