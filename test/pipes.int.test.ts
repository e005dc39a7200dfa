import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { freePort } from '../scripts/server.ts'
import { program } from './support/cli.ts'
import { test, urlOf, writeFiles } from './support/postgres.ts'

/** The default capacity of a pipe on Linux, in bytes. */
const pipeBytes = 65_536

const files = (statement: (index: number) => string) =>
  Object.fromEntries(
    Array.from({ length: 900 }, (_, i) => [`migrations/${String(i).padStart(4, '0')}_table.sql`, statement(i)]),
  )

/** So many that their plan does not fit into a pipe. */
const folder = files((index) => `create table t${index} (id int primary key);\n`)

/** The findings of lint about them are several times the capacity of a pipe. */
const faulty = files((index) => `drop table t${index};\n`)

type Where = { cwd: string; env?: Record<string, string> }

/** The program in a line of the shell, as `"$@"`: pipes that Node makes for a child are sockets. @returns its exit code and all output */
async function shell(line: string, args: string[], { cwd, env = {} }: Where, onStart = (_: ChildProcess) => {}) {
  const child = spawn('sh', ['-c', line, 'sh', process.execPath, program, ...args], {
    cwd,
    env: { PATH: process.env.PATH, PGBOSUN_LOG_LEVEL: 'error', ...env },
    detached: true,
  })
  onStart(child)
  let text = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk) => {
      text += chunk
    })
  const [code] = await once(child, 'close')
  return { code, text }
}

/** What a reader read of stdout, and how the program ended. */
async function piped(args: string[], reader: string, where: Where) {
  const { text } = await shell(`{ "$@" 2>err; echo $? >code; } | { ${reader}; }`, args, where)
  const textOf = (name: string) => readFile(join(where.cwd, name), 'utf8')
  return { code: Number(await textOf('code')), stdout: text, stderr: await textOf('err') }
}

describe('output on a pipe', () => {
  for (const [what, reader] of [
    ['one that begins late', 'sleep 1; cat'],
    ['a slow one', 'i=0; while [ $i -lt 20 ]; do i=$((i+1)); head -c 9000; sleep 0.05; done; cat'],
  ] as const)
    test(`arrives whole at ${what}`, async ({ dir }) => {
      await writeFiles(dir, faulty)
      const { code, stdout } = await piped(['migrate', 'lint', '--json'], reader, { cwd: dir })
      expect(Buffer.byteLength(stdout)).toBeGreaterThan(3 * pipeBytes)
      expect(JSON.parse(stdout)).toMatchObject({ command: 'migrate lint', exit_code: code })
    })

  test('arrives complete for a plan and a dry run', async ({ database, dir }) => {
    await writeFiles(dir, folder)
    for (const args of [
      ['plan', '--json'],
      ['migrate', 'up', '--dry-run', '--json'],
    ]) {
      const where = { cwd: dir, env: { DATABASE_URL: urlOf(database) } }
      const { code, stdout } = await piped(args, 'sleep 0.5; cat', where)
      expect(Buffer.byteLength(stdout)).toBeGreaterThan(pipeBytes)
      expect([code, JSON.parse(stdout).ok]).toEqual([0, true])
    }
  })

  test('arrives complete on stderr too, where the hint comes last', async ({ dir }) => {
    const keys = Array.from({ length: 20 }, (_, index) => [`${'nothing-of-that-name-'.repeat(600)}${index}`, 1])
    await writeFiles(dir, { 'pgbosun.json': JSON.stringify(Object.fromEntries(keys)) })
    const { text } = await shell('"$@" 2>&1 >/dev/null | { sleep 1; cat; }', ['config', 'validate'], { cwd: dir })
    expect(text.length).toBeGreaterThan(3 * pipeBytes)
    expect(text.trimEnd().split('\n').at(-1)).toMatch(/^hint: /)
  })

  test('has all arrived before the command after -- writes its own', async ({ database, dir }) => {
    await writeFiles(dir, folder)
    const args = ['up', '--json', '--', 'echo', 'and on']
    const { stdout } = await piped(args, 'sleep 0.5; cat', { cwd: dir, env: { DATABASE_URL: urlOf(database) } })
    const [document = '', ...rest] = stdout.split('\n')
    expect([JSON.parse(document).ok, rest]).toEqual([true, ['and on', '']])
  })

  test('is cut off by a reader that closes the pipe, which is not a failure', async ({ dir }) => {
    await writeFiles(dir, faulty)
    const { code, stdout, stderr } = await piped(['migrate', 'lint', '--json'], 'head -c 10', { cwd: dir })
    expect([code, stdout.length, stderr]).toEqual([0, 10, ''])
  })

  test('does not end the work when nobody reads the log any more', async ({ database, dir, sql }) => {
    await writeFiles(dir, folder)
    const env = { DATABASE_URL: urlOf(database), PGBOSUN_LOG_LEVEL: 'debug' }
    await shell('{ "$@"; echo $? >code; } 2>&1 >/dev/null | head -c 10', ['migrate', 'up'], { cwd: dir, env })
    expect(await readFile(join(dir, 'code'), 'utf8')).toBe('0\n')
    expect(await sql`select count(*)::int as count from pgbosun.migrations`).toEqual([{ count: 900 }])
  })

  test('does not end serve when nobody reads its log any more', async ({ database, dir }) => {
    const port = await freePort()
    await writeFiles(dir, { 'pgbosun.yaml': JSON.stringify({ serve: { listen: `127.0.0.1:${port}` } }) })
    const env = { DATABASE_URL: urlOf(database), PGBOSUN_LOG_LEVEL: 'debug' }
    const line = '{ "$@" & echo $! >pid; wait $!; echo $? >code; } 2>&1 | head -c 10'
    await shell(line, ['serve'], { cwd: dir, env }, async () => {
      const ready = () =>
        fetch(`http://127.0.0.1:${port}/readyz`).then(
          ({ status }) => status,
          () => 0,
        )
      await expect.poll(ready).toBe(200)
      const pid = Number(await readFile(join(dir, 'pid'), 'utf8'))
      await fetch(`http://127.0.0.1:${port}/nothing`)
      expect(await ready()).toBe(200)
      process.kill(pid, 'SIGTERM')
    })
    expect(await readFile(join(dir, 'code'), 'utf8')).toBe('0\n')
  })

  test('that leads to a full disk is a failure', async ({ dir }) => {
    const { code, text } = await shell('"$@" >/dev/full', ['config', 'schema'], { cwd: dir })
    expect(text).toMatch(/^error: the result could not be written to stdout: ENOSPC\nhint: /)
    expect(code).toBe(1)
  })

  test('that nobody reads does not keep SIGTERM from ending the process', async ({ dir }) => {
    await writeFiles(dir, faulty)
    const line = 'mkfifo p; exec 3<>p; "$@" >p & echo $! >pid; wait $!'
    const { code } = await shell(line, ['migrate', 'lint', '--json'], { cwd: dir }, async () => {
      await expect.poll(() => readFile(join(dir, 'pid'), 'utf8').catch(() => '')).toMatch(/\n/)
      const pid = Number(await readFile(join(dir, 'pid'), 'utf8'))
      // once the pipe is full, it sleeps
      await expect.poll(() => cpuTicks(pid)).toBeGreaterThan(20)
      await expect.poll(() => isIdle(pid)).toBe(true)
      process.kill(pid, 'SIGTERM')
    })
    expect(code).toBe(143)
  })
})

/** The processor time that it has used, in hundredths of a second. */
async function cpuTicks(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]!.split(' ')
  return Number(fields[11]) + Number(fields[12])
}

async function isIdle(pid: number): Promise<boolean> {
  const before = await cpuTicks(pid)
  await new Promise((resolve) => setTimeout(resolve, 1_500))
  return (await cpuTicks(pid)) - before < 5
}
