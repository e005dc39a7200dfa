import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { full, neverAgain } from './support/chaos.ts'
import { start } from './support/cli.ts'
import { test, urlOf, writeFiles } from './support/postgres.ts'

/** Makes the database ready and runs the command. @returns what the command printed */
async function upThen(command: string[], { cwd, env }: { cwd: string; env: Record<string, string> }) {
  const { child, finished } = start(['up', '--', ...command], { cwd, env })
  const { stdout, ...ended } = await finished
  return { ...ended, pid: child.pid, printed: stdout.replace(/^[\s\S]*?\nready.*\n/, '') }
}

describe('the command after --', () => {
  test('gets the environment unchanged, including variables that libpq and Node read', async ({ dir, database }) => {
    const env = {
      DATABASE_URL: urlOf(database),
      PATH: process.env.PATH ?? '',
      PGAPPNAME: 'shop',
      NODE_OPTIONS: '--no-warnings',
      'spring.name': 'x=y z',
      EMPTY: '',
    }
    const { printed, stderr } = await upThen(['env'], { cwd: dir, env })
    const expected = Object.entries(env).map(([name, value]) => `${name}=${value}`)
    expect(stderr).toContain('PGAPPNAME')
    expect(printed.trimEnd().split('\n').sort()).toEqual(expected.sort())
  })

  test('is the same process, with no signal blocked or ignored, and with blocking pipes', async ({ dir, database }) => {
    // While sh waits for another program, it blocks signals itself, so it reads its status on its own.
    const signals = 'while read -r line; do case $line in SigBlk*|SigIgn*) echo "$line"; esac; done < /proc/$$/status'
    const script = `echo $$; ${signals}; grep flags /proc/$$/fdinfo/1; ls /proc/$$/fd`
    const { pid, printed } = await upThen(['sh', '-c', script], { cwd: dir, env: { DATABASE_URL: urlOf(database) } })
    const [id, blocked, ignored, flags = '', ...open] = printed.trimEnd().split('\n')
    const none = expect.stringMatching(/:\s+0{16}$/)
    expect([Number(id), blocked, ignored]).toEqual([pid, none, none])
    expect(Number.parseInt(flags.replace(/\D/g, ''), 8) & 0o4000).toBe(0)
    expect(open.filter((fd) => Number(fd) < 10)).toEqual(['0', '1', '2'])
  })

  test('receives signals itself, and ends as it wants', async ({ dir, database }) => {
    const script = 'trap "echo stopping; exit 9" TERM; echo listening; while :; do sleep 0.1; done'
    const { child, finished } = start(['up', '--', 'sh', '-c', script], {
      cwd: dir,
      env: { DATABASE_URL: urlOf(database) },
    })
    await new Promise<void>((resolve) => {
      child.stdout?.on('data', (chunk) => String(chunk).includes('listening') && resolve())
    })
    child.kill('SIGTERM')
    expect((await finished).code).toBe(9)
  })

  test('never loses a SIGTERM, at whatever moment of the start it comes', { ...neverAgain, timeout: 300_000 }, async ({
    dir,
    database,
  }) => {
    const script = 'trap "exit 9" TERM; i=0; while [ $i -lt 30 ]; do i=$((i+1)); sleep 0.1; done; echo unheard'
    for (let i = 0; i < (full ? 200 : 20); i++) {
      const { child, finished } = start(['up', '--', 'sh', '-c', script], {
        cwd: dir,
        env: { DATABASE_URL: urlOf(database) },
      })
      child.stdout?.on('data', async (chunk) => {
        if (!String(chunk).includes('ready,')) return
        await sleep(Math.random() * 12)
        child.kill('SIGTERM')
      })
      const { code, signal, stdout } = await finished
      expect([143, 9, 'SIGTERM'], stdout).toContain(code ?? signal)
    }
  })

  test('may be a script without #!, which runs as a child', async ({ dir, database }) => {
    await writeFiles(dir, { 'bin/start': 'echo "started $1"; exit 7\n' })
    await chmod(join(dir, 'bin', 'start'), 0o755)
    const env = { DATABASE_URL: urlOf(database), PATH: `${dir}/bin:${process.env.PATH}` }
    expect(await upThen(['start', 'me'], { cwd: dir, env })).toMatchObject({ code: 7, printed: 'started me\n' })
  })

  for (const [what, content] of [
    ['names an interpreter that is not there', '#!/no/such/interpreter\n'],
    ['may not be executed', undefined],
  ] as const)
    test(`cannot be a file that ${what}: exit 1`, async ({ dir, database }) => {
      await writeFiles(dir, { app: content ?? '#!/bin/sh\n' })
      await chmod(join(dir, 'app'), content === undefined ? 0o644 : 0o755)
      const ended = await upThen([join(dir, 'app')], { cwd: dir, env: { DATABASE_URL: urlOf(database) } })
      expect(ended).toMatchObject({ code: 1, stderr: expect.stringContaining('could not be started') })
    })
})
