import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { startServer } from '../scripts/server.ts'
import { server, test } from './support/postgres.ts'

const root = join(import.meta.dirname, '..')

const alive = (pid: number) => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

test('a throwaway server keeps its data over a crash and leaves nothing behind', async () => {
  const own = await startServer(server().binDir, { settings: ['fsync=off'] })
  await own.stop('immediate')
  expect(own.pid()).toBeUndefined()

  await own.start()
  expect(readFileSync(own.logFile, 'utf8')).toContain('automatic recovery in progress')

  await own.remove()
  expect(existsSync(own.dir)).toBe(false)
})

test('a throwaway server ends with the process that started it, even by kill -9', async () => {
  const script = `
    import { startServer } from ${JSON.stringify(join(root, 'scripts/server.ts'))}
    const { dir, pid } = await startServer(${JSON.stringify(server().binDir)}, { settings: ['fsync=off'] })
    console.log(JSON.stringify({ dir, pid: pid() }))
    setInterval(() => {}, 1000)`
  const owner = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = (await once(owner.stdout, 'data')) as [Buffer]
  const { dir, pid } = JSON.parse(line.toString()) as { dir: string; pid: number }
  expect(alive(pid)).toBe(true)

  owner.kill('SIGKILL')
  for (let i = 0; i < 100 && existsSync(dir); i++) await sleep(100)
  expect(alive(pid)).toBe(false)
  expect(existsSync(dir)).toBe(false)
})
