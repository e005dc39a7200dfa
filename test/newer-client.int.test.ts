import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect } from 'vitest'
import { freePort, startServer } from '../scripts/server.ts'
import type { Config } from '../src/config/schema.ts'
import { findTools, type Tools } from '../src/programs/pgtools.ts'
import { findClientMissing } from '../src/up/client-missing.ts'
import { backUp, client, connectionTo } from './support/backup.ts'
import { type App, test as base, type Cluster } from './support/chaos.ts'
import { run, runJson, type Started, start } from './support/cli.ts'
import { majorOf, programFolders } from './support/clients.ts'
import { server, uniqueName, writeFiles } from './support/postgres.ts'
import { everything, richApp } from './support/rich.ts'
import { expectGood } from './support/swap.ts'
import { startTlsServer, tlsMissing } from './support/tls.ts'

/** The newest client programs here that set what this server does not know. */
const newer = await newest()

async function newest(): Promise<Tools | undefined> {
  const [folder] = programFolders
  if (folder === undefined || majorOf(folder) < 17 || server().major >= 17) return undefined
  return findTools(server().major * 10_000, { path: '', packaged: [folder] })
}

if (!newer)
  process.stderr.write(`NOT RUN: newer client programs with PostgreSQL ${server().major}: there are none here\n`)

/** A database with one of everything, of which a newer pg_dump has made a backup. */
const test = base.extend<{ rich: App }>({
  rich: async ({ cluster, makeApp }, use) => {
    const { app } = await richApp(cluster, makeApp)
    const search = { path: '', packaged: [newer!.dir] }
    const store = join(app.cwd, 'store')
    const { manifest, warnings } = await backUp(store, cluster.url(app.database), { search })
    expect(manifest.client_version).toBe(newer!.version)
    expect(warnings).toContainEqual(expect.stringContaining(`there is no pg_dump ${server().major}, so pg_dump`))
    await use(app)
  },
})

/** The program, with the newer client programs on its PATH. */
const beside = (cluster: Cluster, { cwd, database }: App) => ({
  cwd,
  env: { DATABASE_URL: cluster.url(database), PATH: `${newer!.dir}:${process.env.PATH}` },
})

describe.skipIf(!newer || !client)('a backup that a newer pg_dump made', () => {
  test('is restored to the older server, streamed, over several connections, and in place', {
    timeout: 240_000,
  }, async ({ cluster, rich }) => {
    const before = await everything(cluster, rich.database)
    const options = beside(cluster, rich)
    for (const how of [[], ['--jobs', '2'], ['--as-superuser'], ['--as-superuser', '--jobs', '2'], ['--keep-going']]) {
      const into = uniqueName('older')
      const { code, json, stderr } = await runJson(['restore', '--into', into, '--yes', ...how], options)
      expect(code, `${how}\n${stderr}`).toBe(0)
      expect(json).toMatchObject({ differences: [] })
      expect((await everything(cluster, into)).dump, how.join(' ')).toBe(before.dump)
    }
    expectGood(await run(['restore', '--in-place', '--replace', rich.database], options))
    expect((await everything(cluster, rich.database)).dump).toBe(before.dump)
  })

  test.skipIf(tlsMissing() !== undefined)(
    'is restored over TLS, with the password proven by SCRAM',
    { timeout: 60_000 },
    async ({ dir }) => {
      const secure = await startTlsServer()
      try {
        const tls = { mode: 'verify-full', ca: secure.ca }
        const url = secure.url('localhost')
        const connection = connectionTo(url, { tls: { mode: 'verify-full', ca: readFileSync(secure.ca, 'utf8') } })
        const search = { path: '', packaged: [newer!.dir] }
        await backUp(join(dir, 'store'), url, { connection, search })
        await writeFiles(dir, {
          'pgbosun.yaml': JSON.stringify({
            database: { tls },
            backup: { store: pathToFileURL(join(dir, 'store')).href },
          }),
        })
        const env = { DATABASE_URL: url, PATH: `${newer!.dir}:${process.env.PATH}` }
        expectGood(await run(['restore', '--into', 'over_tls', '--yes'], { cwd: dir, env }))
      } finally {
        await secure.remove()
      }
    },
  )

  test('is restored for a test, and rehearsed, by a login with few rights', { timeout: 120_000 }, async ({
    cluster,
    makeApp,
  }) => {
    const app = await makeApp({ databases: {} })
    const role = uniqueName('verify')
    await cluster.ask(`create role ${role} login createdb password 'geheim'; grant pg_read_all_settings to ${role}`)
    await cluster.ask(`create database ${app.database}`)
    await cluster.ask('create table a as select n from generate_series(1, 100) n', app.database)
    const store = join(app.cwd, 'store')
    await backUp(store, cluster.url(app.database), { search: { path: '', packaged: [newer!.dir] } })
    await app.write({
      url: cluster.url('postgres').replace(/\/\/[^@]*@/, `//${role}:geheim@`),
      'pgbosun.yaml': JSON.stringify({
        backup: { store: pathToFileURL(store).href, verify: { where: 'same-server', url: { file: 'url' } } },
      }),
      'migrations/001_a.sql': 'create table later ()',
    })
    const options = beside(cluster, app)
    expectGood(await run(['backup', 'verify', 'latest', '--restore'], options))
    expectGood(await run(['migrate', 'rehearse', '--from', 'latest'], options))
  })

  test('becomes SQL that the older server knows', async ({ cluster, rich }) => {
    const file = join(rich.cwd, 'dump.sql')
    expectGood(await run(['backup', 'fetch', 'latest', '--as', 'sql', '--to', file], beside(cluster, rich)))
    expect(readFileSync(file, 'utf8')).not.toContain('transaction_timeout')
    const into = uniqueName('by_hand')
    await cluster.ask(`create database ${into}`)
    execFileSync('psql', ['-qX', '-v', 'ON_ERROR_STOP=1', '-f', file, cluster.url(into)], { stdio: 'pipe' })
  })
})

test('that there is no pg_dump for a server is found wherever something is scheduled', async () => {
  const of = (backup: object) => findClientMissing({ config: { backup } as Config, env: { PATH: '' } }, 990_000)
  expect(await of({})).toBeUndefined()
  for (const backup of [{ schedule: '0 3 * * *' }, { schedules: [{ name: 'nightly', schedule: '0 3 * * *' }] }])
    expect((await of(backup))?.reason).toBe('client-missing')
})

const lacking =
  newer !== undefined &&
  (await findTools(newer.major * 10_000, { path: process.env.PATH }).then(
    () => false,
    () => true,
  ))

test.skipIf(!lacking)(
  'a server that no pg_dump here fits is said by check and serve at once',
  { timeout: 120_000 },
  async ({ dir }) => {
    const tooNew = await startServer(newer!.dir, { settings: ['fsync=off'] })
    const port = await freePort()
    const options = { cwd: dir, env: { DATABASE_URL: tooNew.url('postgres') } }
    let serve: Started | undefined
    try {
      await writeFiles(dir, {
        'pgbosun.yaml': JSON.stringify({
          backup: {
            store: pathToFileURL(join(dir, 'store')).href,
            databases: ['postgres*'],
            schedules: [{ name: 'nightly', schedule: '0 3 * * *' }],
          },
          serve: { listen: `127.0.0.1:${port}` },
        }),
      })
      const said = `no backup can be made here: pg_dump is too old: the server is PostgreSQL ${newer!.major}`
      const { json } = await runJson(['check'], options)
      expect(json).toMatchObject({ exit_code: 50, errors: [expect.stringContaining(said)] })

      serve = start(['serve', '--no-up'], options)
      const conditions = async () => {
        const answer = await fetch(`http://127.0.0.1:${port}/status.json`).catch(() => undefined)
        return ((await answer?.json()) as { conditions: object[] } | undefined)?.conditions
      }
      await expect.poll(conditions, { timeout: 30_000 }).toMatchObject([
        {
          name: 'client-missing',
          severity: 'error',
          message: expect.stringContaining(said),
          hint: expect.stringContaining('postgresql-client-'),
        },
      ])
      expect((await run(['healthcheck', '--backups'], options)).code).toBe(1)
    } finally {
      serve?.child.kill('SIGKILL')
      await tooNew.remove()
    }
  },
)
