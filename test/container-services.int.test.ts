import { execFileSync } from 'node:child_process'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { commandNames } from '../src/cli/commands.ts'
import { docker, image, withReadableDir } from './support/docker.ts'
import { uniqueName } from './support/postgres.ts'

const root = join(import.meta.dirname, '..')

/** What a command ends with in a service, and what its document has to say. */
type Told = [exit: number, document?: object]
type Row = { command: string; serve: Told; up?: Told }

const fine: Told = [0, { error: null }]
/** What is not there is named, whatever else is right. */
const error = (exit: number, message: string): Told => [
  exit,
  { error: { message: expect.stringContaining(message), hint: expect.any(String) } },
]
const noImport = error(2, 'no import is configured')
const noSeeds = error(2, 'seed folder seeds/dev does not exist')
const generated: Told = [
  0,
  { configuration: { databases: { games: expect.anything() } }, yaml: expect.stringContaining('games:') },
]
const noSecret = error(2, '/run/secrets/games_app_password does not exist')
const nothingToDo: Told = [0, { steps: expect.arrayContaining([expect.objectContaining({ state: 'nothing' })]) }]
const noBackup = error(62, 'there is no backup of')
const absent = error(62, 'there is no backup 2020')
const noTestServer = error(2, 'there is no server for test restores')
const noIdentity = error(2, 'there is no identity to check')
const applied = ['001_create_initial_schema', '002_add_verification_columns', '003_add_updated_at_triggers']
const migrations: Told = [0, { applied, pending: [], problems: [] }]
/** `serve` has made one by itself for the slot before it. */
const some: Told = [
  0,
  { backups: expect.arrayContaining([expect.objectContaining({ database: 'games', verified: true, problem: null })]) },
]
const kept: Told = [0, { backups: expect.arrayContaining([expect.objectContaining({ action: 'keep' })]) }]
const none: Told = [0, { backups: [] }]

/** In `up` the store is not mounted: it says so, and never that backups are fine. */
const withoutStore: Told = [
  0,
  {
    overall_healthy: true,
    roles: { ok: true },
    backups: { ok: null, databases: [{ ok: null, last_id: null }] },
    warnings: expect.arrayContaining([
      expect.stringMatching(/^file:\/\/\/backups has no backup of games: .*is the store mounted here\?$/),
    ]),
  },
]
/** In `serve` a secret is not mounted that only roles need. */
const withoutSecret: Told = [
  0,
  {
    overall_healthy: true,
    backups: { ok: true, databases: [{ ok: true, problem: null, last_id: expect.any(String) }] },
    warnings: expect.arrayContaining([expect.stringMatching(/^the password of role games_app was not compared: /)]),
  },
]

/** In this order: the first that looks at a backup follows the one that makes it. */
const rows: Row[] = [
  { command: 'up', serve: noSeeds, up: nothingToDo },
  { command: 'plan', serve: noSeeds, up: nothingToDo },
  { command: 'wait', serve: fine, up: fine },
  { command: 'migrate', serve: nothingToDo, up: nothingToDo },
  { command: 'migrate up', serve: nothingToDo, up: nothingToDo },
  { command: 'migrate down', serve: error(2, 'cannot be undone'), up: error(2, 'cannot be undone') },
  { command: 'migrate redo', serve: error(2, 'cannot be undone'), up: error(2, 'cannot be undone') },
  { command: 'migrate status', serve: migrations, up: migrations },
  { command: 'migrate new add_x', serve: error(2, 'read-only file system'), up: error(2, 'read-only file system') },
  { command: 'migrate verify', serve: migrations, up: migrations },
  { command: 'migrate repair', serve: [0, { repairs: [] }], up: [0, { repairs: [] }] },
  { command: 'migrate baseline 3', serve: nothingToDo, up: nothingToDo },
  { command: 'migrate adopt', serve: error(2, 'needs --from'), up: error(2, 'needs --from') },
  { command: 'migrate lint', serve: [0, { files: 3, findings: [] }], up: [0, { files: 3, findings: [] }] },
  { command: 'migrate wait-for', serve: fine, up: fine },
  { command: 'migrate rehearse --from latest', serve: noTestServer, up: noTestServer },
  { command: 'roles plan', serve: noSecret, up: nothingToDo },
  { command: 'roles apply', serve: noSecret, up: nothingToDo },
  { command: 'roles generate', serve: generated, up: generated },
  { command: 'roles rotate games', serve: noSecret, up: error(2, 'does not name two logins') },
  { command: 'seed', serve: noSeeds, up: nothingToDo },
  { command: 'seed --dry-run', serve: noSeeds, up: nothingToDo },
  { command: 'import', serve: noImport, up: noImport },
  { command: 'backup', serve: [0, { database: 'games' }], up: error(60, 'file:///backups cannot be written') },
  { command: 'backup prune', serve: kept, up: none },
  { command: 'backup list', serve: some, up: none },
  { command: 'backup pin 20200101T000000Z-0a1b2c3d', serve: absent, up: absent },
  { command: 'backup unpin 20200101T000000Z-0a1b2c3d', serve: absent, up: absent },
  { command: 'backup copy 20200101T000000Z-0a1b2c3d --to file:///tmp/more', serve: absent, up: absent },
  { command: 'backup fetch 20200101T000000Z-0a1b2c3d --to /tmp/x.sql --as sql', serve: absent, up: absent },
  { command: 'backup keys check', serve: noIdentity, up: noIdentity },
  { command: 'backup verify', serve: [0, { results: [{ ok: true }] }], up: noBackup },
  { command: 'backup prune --dry-run', serve: kept, up: none },
  { command: 'restore latest --into copy --yes', serve: error(12, 'cannot be restored into copy'), up: noBackup },
  { command: 'check', serve: withoutSecret, up: withoutStore },
  { command: 'status', serve: withoutSecret, up: withoutStore },
  { command: 'backup run', serve: [0, { database: 'games' }], up: error(60, 'file:///backups cannot be written') },
  { command: 'notify test', serve: fine, up: fine },
  { command: 'healthcheck', serve: fine, up: error(1, 'ECONNREFUSED') },
  { command: 'healthcheck --ready', serve: fine, up: error(1, 'ECONNREFUSED') },
  { command: 'healthcheck --backups', serve: fine, up: error(1, 'ECONNREFUSED') },
  {
    command: 'config show',
    serve: [0, { connection: { user: 'games_backup' } }],
    up: [0, { connection: { user: 'postgres' } }],
  },
  { command: 'config validate', serve: noSecret, up: [0, { valid: true }] },
  { command: 'config schema', serve: fine, up: fine },
  // in `up` it would stay
  { command: 'serve', serve: error(2, 'the port is in use') },
]

test('every command in every service of compose.yaml says what is true there', { timeout: 240_000 }, async () => {
  expect(
    commandNames.filter((name) => !rows.some(({ command }) => command === name || command.startsWith(`${name} `))),
  ).toEqual([])
  await withReadableDir(async (dir) => {
    for (const path of ['compose.yaml', 'examples', 'migrations', 'seeds'])
      cpSync(join(root, path), join(dir, path), { recursive: true })
    execFileSync(join(root, 'scripts', 'containers', 'secrets.sh'), [join(dir, 'secrets')])
    const project = uniqueName('services')
    const env = { BOSUN_IMAGE: image, PGBOSUN_PORT: '0' }
    const compose = (...args: string[]) => docker(['compose', '--project-name', project, ...args], { cwd: dir, env })
    try {
      const started = await compose('up', '--wait', 'serve')
      expect(started.code, started.stderr).toBe(0)
      // `up` has ended: its container once more, as one that waits for commands
      const idle = ['--entrypoint=/usr/local/bin/node', 'up', '-e', 'setInterval(() => {}, 60_000)']
      const up = await compose('run', '--detach', '--rm', '--no-deps', ...idle)
      expect(up.code, up.stderr).toBe(0)
      const services = {
        serve: (args: string[]) => compose('exec', '-T', 'serve', 'pgbosun', ...args),
        up: (args: string[]) => docker(['exec', up.stdout.trim(), 'pgbosun', ...args]),
      }
      await Promise.all(
        Object.entries(services).map(async ([service, run]) => {
          for (const row of rows) {
            const [exit, document = {}] = row[service as keyof typeof services] ?? []
            if (exit === undefined) continue
            const where = `${row.command} in ${service}`
            const { code, stdout, stderr } = await run([...row.command.split(' '), '--json'])
            expect([where, code], stderr).toEqual([where, exit])
            expect({ where, ...JSON.parse(stdout) }).toMatchObject({ where, exit_code: exit, ...document })
          }
        }),
      )
    } finally {
      await compose('down', '--volumes', '--timeout=2')
    }
  })
})
