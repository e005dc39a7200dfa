import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { describe, expect } from 'vitest'
import { freePort } from '../scripts/server.ts'
import { type Finished, program, run, runJson, start } from './support/cli.ts'
import { expectNoSecret } from './support/fails.ts'
import { test, urlOf, writeFiles } from './support/postgres.ts'

type Line = Record<string, unknown>

const canOpenTerminal = spawnSync('script', ['--version']).status === 0
if (!canOpenTerminal) console.warn('NOT RUN: --json-lines on a terminal: the program `script` is not installed')

const instant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

/** The lines of an output; each is a JSON object with its instant: `time` in the log, `at` in the result. */
function linesOf(text: string): Line[] {
  expect(text).toMatch(/^(.+\n)*$/)
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      const parsed = JSON.parse(line) as Line
      expect(parsed.at ?? parsed.time, line).toMatch(instant)
      return parsed
    })
}

/** Steps and the last line of stdout; every line of stderr is one of the log. */
function read({ stdout, stderr }: Pick<Finished, 'stdout' | 'stderr'>) {
  expectNoSecret({ stdout, stderr })
  const lines = linesOf(stdout)
  const log = linesOf(stderr)
  for (const line of log) expect(line).toMatchObject({ level: expect.any(String), msg: expect.any(String) })
  return { steps: lines.slice(0, -1), last: lines.at(-1)!, log }
}

const files = {
  'pgbosun.yaml': 'seeds: [{ file: seed.sql }]',
  'migrations/001_a.sql': 'create table a (id int);\n',
  'seed.sql': 'insert into a values (1);\n',
}

describe('up --json-lines', () => {
  test('writes a line for each step, and one about the run', async ({ dir, database }) => {
    await writeFiles(dir, files)
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(database) } }
    const first = await run(['up', '--json-lines', '--log-level', 'debug'], options)
    const { steps, last } = read(first)
    expect(first.code).toBe(0)
    expect(steps.map(({ name, state }) => [name, state])).toEqual([
      ['wait', 'nothing'],
      ['ensure', 'nothing'],
      ['migrate', 'done'],
      ['grant', 'nothing'],
      ['seed', 'done'],
      ['check', 'nothing'],
    ])
    for (const step of steps)
      expect(Object.keys(step)).toEqual(['at', 'database', 'name', 'state', 'changes', 'duration_ms'])
    expect(steps[2]).toMatchObject({
      database,
      changes: expect.arrayContaining([{ action: 'apply', object: 'migration 001_a', reason: 'not applied yet' }]),
      duration_ms: expect.any(Number),
    })
    expect(last).toEqual({
      at: expect.any(String),
      command: 'up',
      ok: true,
      exit_code: 0,
      error: null,
      backup_first: [],
      warnings: [],
    })

    const again = read(await run(['up', '--json-lines'], options))
    expect(again.steps.map(({ state }) => state)).toEqual(Array(6).fill('nothing'))
    expect(again).toMatchObject({ last: { ok: true }, log: [] })
  })

  test('writes the failed step, what the last line says, and the error in the log', async ({ dir, database }) => {
    await writeFiles(dir, { ...files, 'migrations/002_b.sql': 'create table b (id int);\nselect oops;\n' })
    const finished = await run(['up', '--json-lines'], { cwd: dir, env: { DATABASE_URL: urlOf(database) } })
    const { steps, last, log } = read(finished)
    expect(finished.code).toBe(20)
    expect(steps.map(({ name, state }) => [name, state])).toEqual([
      ['wait', 'nothing'],
      ['ensure', 'nothing'],
      ['migrate', 'failed'],
    ])
    const error = { kind: 'migration', sqlstate: '42703', line: 2, column: 8 }
    expect(last).toMatchObject({
      ok: false,
      exit_code: 20,
      error: { ...error, message: expect.stringContaining('002_b failed') },
      results: expect.arrayContaining([expect.objectContaining({ name: '002_b', status: 'failed' })]),
    })
    expect(last).not.toHaveProperty('steps')
    expect(log.at(-1)).toMatchObject({
      level: 'error',
      ...error,
      excerpt: expect.stringContaining('select oops'),
      hint: (last.error as Line).hint,
      msg: (last.error as Line).message,
    })
  })

  test('writes that waiting failed, and how long it took', async ({ dir }) => {
    const env = { DATABASE_URL: `postgres://me@127.0.0.1:${await freePort()}/shop`, PGBOSUN_WAIT_TIMEOUT: '1s' }
    const finished = await run(['up', '--json-lines'], { cwd: dir, env })
    const { steps, last } = read(finished)
    expect(finished.code).toBe(10)
    expect(steps).toMatchObject([{ name: 'wait', state: 'failed', database: 'shop', changes: [] }])
    expect(steps[0]!.duration_ms).toBeGreaterThan(900)
    expect(last).toMatchObject({ command: 'up', error: { kind: 'unreachable' } })
  })

  test('writes nothing else into one pipe for both outputs', async ({ dir, database }) => {
    await writeFiles(dir, files)
    const child = spawn('sh', ['-c', '{ "$@" 2>&1; } | cat', 'sh', process.execPath, program, 'up', '--json-lines'], {
      cwd: dir,
      env: { PATH: process.env.PATH, DATABASE_URL: urlOf(database), PGBOSUN_LOG_LEVEL: 'debug' },
    })
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (chunk) => {
      text += chunk
    })
    await once(child, 'close')
    expect(linesOf(text).at(-1)).toMatchObject({ command: 'up', ok: true })
  })

  test.runIf(canOpenTerminal)(
    'writes nothing else to a terminal for both, as a container may have one',
    async ({ dir, database }) => {
      await writeFiles(dir, files)
      const env = { PATH: process.env.PATH, DATABASE_URL: urlOf(database), PGBOSUN_LOG_LEVEL: 'debug' }
      const onTerminal = (line: string) =>
        spawnSync('script', ['-qec', `${process.execPath} ${program} ${line}`, '/dev/null'], {
          cwd: dir,
          env,
          encoding: 'utf8',
          stdio: ['ignore', 'pipe', 'pipe'],
        }).stdout.replaceAll('\r', '')
      expect(linesOf(onTerminal('up --json-lines')).at(-1)).toMatchObject({ command: 'up', ok: true })
      expect(linesOf(onTerminal('up --json-lines --nonsense'))).toMatchObject([{ ok: false }, { level: 'error' }])
      // where the result goes elsewhere, a person reads the rest
      expect(onTerminal('up --json-lines --nonsense >/dev/null')).toMatch(/^error: unknown flag/)
    },
  )

  test('leaves the output of the command after -- as it is, and logs that it cannot be started', async ({
    dir,
    database,
  }) => {
    await writeFiles(dir, files)
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(database) } }
    const { stdout } = await run(['up', '--json-lines', '--', 'echo', 'the application'], options)
    expect(stdout).toMatch(/"ok":true.*\}\nthe application\n$/)
    const absent = await run(['up', '--json-lines', '--', 'no-such-program'], options)
    expect(absent.code).toBe(1)
    expect(read(absent)).toMatchObject({
      last: { command: 'up', ok: true },
      log: [{ level: 'error', msg: expect.stringContaining('no-such-program') }],
    })
  })
})

test('plan --json-lines writes the steps as they are planned', async ({ dir, database }) => {
  await writeFiles(dir, files)
  const finished = await run(['plan', '--exit-code', '--json-lines'], {
    cwd: dir,
    env: { DATABASE_URL: urlOf(database) },
  })
  const { steps, last } = read(finished)
  expect(finished.code).toBe(3)
  expect(steps.map(({ name, state }) => [name, state])).toEqual([
    ['wait', 'nothing'],
    ['ensure', 'nothing'],
    ['migrate', 'not-run'],
    ['grant', 'nothing'],
    ['seed', 'deferred'],
    ['check', 'deferred'],
  ])
  expect(last).toMatchObject({ command: 'plan', ok: false, exit_code: 3, error: null })
})

test('serve --json-lines writes the steps of up, and a last line when it ends', async ({ dir, database }) => {
  await writeFiles(dir, files)
  const port = await freePort()
  const env = { DATABASE_URL: urlOf(database), PGBOSUN_SERVE_LISTEN: `127.0.0.1:${port}` }
  const { child, finished } = start(['serve', '--json-lines'], { cwd: dir, env })
  const ready = () =>
    fetch(`http://127.0.0.1:${port}/readyz`).then(
      ({ status }) => status,
      () => 0,
    )
  await expect.poll(ready).toBe(200)
  child.kill('SIGTERM')
  const { steps, last, log } = read(await finished)
  expect(steps).toHaveLength(6)
  expect(last).toMatchObject({ command: 'serve', ok: true, exit_code: 0, stopped: true })
  expect(log.map(({ msg }) => msg)).toContain('listening')

  const held = createServer().listen(port, '127.0.0.1')
  await once(held, 'listening')
  const refused = await run(['serve', '--json-lines'], { cwd: dir, env })
  held.close()
  expect(refused.code).toBe(2)
  expect(read(refused)).toMatchObject({ steps: [], last: { command: 'serve', ok: false, error: { kind: 'usage' } } })
})

describe('--json-lines', () => {
  test('of a command without steps writes the document of --json, with the instant', async ({ dir, database }) => {
    await writeFiles(dir, files)
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(database) } }
    await run(['up'], options)
    for (const line of ['migrate status', 'status', 'wait', 'config show', 'migrate lint', 'backup list']) {
      const words = line.split(' ')
      const { steps, last } = read(await run([...words, '--json-lines'], options))
      expect(steps, line).toEqual([])
      const { json } = await runJson(words, options)
      expect(Object.keys(last), line).toEqual(['at', ...Object.keys(json)])
      expect(last).toMatchObject({ command: line, ok: true })
    }
  })

  test('excludes --json', async ({ dir }) => {
    for (const name of ['up', 'migrate status', 'config schema']) {
      const both = await run([...name.split(' '), '--json', '--json-lines'], { cwd: dir })
      expect({ name, code: both.code }).toEqual({ name, code: 2 })
      expect(read(both)).toMatchObject({
        steps: [],
        last: { command: name, error: { kind: 'usage', message: '--json and --json-lines exclude each other' } },
      })
    }
  })

  test('writes a line for a command line that is wrong', async ({ dir }) => {
    for (const words of [['up', '--no-such-flag'], ['upp'], []]) {
      const finished = await run([...words, '--json-lines'], { cwd: dir })
      expect(finished.code).toBe(2)
      expect(read(finished)).toMatchObject({ last: { ok: false, exit_code: 2, error: { kind: 'usage' } } })
    }
  })

  test('belongs to the command after --, when it stands there', async ({ dir, database }) => {
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(database) } }
    const { stdout } = await run(['wait', '--', 'echo', '--json-lines'], options)
    expect(stdout).toBe('--json-lines\n')
  })
})

describe('PGBOSUN_JSON_LINES', () => {
  test('does the same, and a flag overrides it', async ({ dir, database }) => {
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(database), PGBOSUN_JSON_LINES: 'true' } }
    expect(read(await run(['wait'], options))).toMatchObject({ last: { command: 'wait', ok: true } })
    const { json } = await runJson(['wait'], options)
    expect(json).not.toHaveProperty('at')
    const off = await run(['wait'], { ...options, env: { ...options.env, PGBOSUN_JSON_LINES: 'false' } })
    expect(off.stdout).not.toContain('{')
    const help = await run(['wait', '--help'], options)
    expect(help).toMatchObject({ code: 0, stdout: expect.stringContaining('usage: pgbosun wait') })
  })

  test('must be true or false', async ({ dir }) => {
    const env = { PGBOSUN_JSON_LINES: 'yes' }
    const { code, stderr } = await run(['config', 'validate'], { cwd: dir, env })
    expect(code).toBe(2)
    expect(stderr).toMatch(/^error: PGBOSUN_JSON_LINES must be true or false, not yes\nhint: {2}/)
  })
})
