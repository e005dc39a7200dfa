import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { test as base, client, filesBelow } from './support/backup.ts'
import { runJson } from './support/cli.ts'
import { open, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

// biome-ignore lint/suspicious/noExplicitAny: the document is checked field by field
type Json = Record<string, any>
type Call = (
  policy: string,
  args: string[],
  more?: object,
) => Promise<{ code: number | null; json: Json; text: string }>
type Fixtures = { call: Call; folder: string }

/** `folder` has a first migration that is applied; `call` runs the program there with `migrate.backupFirst`. */
const test = base.extend<Fixtures>({
  folder: async ({ dir }, use) => {
    const folder = join(dir, 'shop')
    await writeFiles(folder, { 'migrations/1_users.sql': 'create table users (id int, email text)' })
    await use(folder)
  },
  call: async ({ folder, store, database }, use) =>
    use(async (policy, args, more = {}) => {
      const config = { backup: { store: `file://${store}` }, migrate: { backupFirst: policy }, ...more }
      await writeFiles(folder, { 'pgbosun.json': JSON.stringify(config) })
      const { code, json, stderr } = await runJson(args, { cwd: folder, env: { DATABASE_URL: urlOf(database) } })
      return { code, json, text: stderr }
    }),
})

const manifestsIn = (store: string) => filesBelow(store).filter((path) => path.endsWith('/manifest.json'))
const changesOf = (json: Json) =>
  json.steps
    .find(({ name }: Json) => name === 'migrate')
    .changes.map(({ action, object }: Json) => `${action} ${object}`)
const drop = {
  'migrations/2_drop.sql': '-- pgbosun: allow drop-column nobody reads it\nalter table users drop column email',
}

describe.skipIf(!client)('migrate.backupFirst', () => {
  test('says what backup.exclude leaves out of the backup', async ({ call, folder, store }) => {
    expect((await call('always', ['migrate'])).code).toBe(0)
    await writeFiles(folder, drop)
    const backup = { store: `file://${store}`, exclude: { tableData: ['users'] } }
    const { code, json, text } = await call('always', ['migrate'], { backup })
    expect(code, text).toBe(0)
    expect(json.warnings).toContainEqual(
      expect.stringMatching(/is partial: backup.exclude left out the rows of 1 table \(public.users\)$/),
    )
  })

  test('lint: `up` backs up before a file that loses data, as it was before, even if a comment allows the loss', async ({
    call,
    folder,
    store,
    sql,
    database,
  }) => {
    const { json: first } = await call('lint', ['up'])
    expect([first.error, first.backup_first, manifestsIn(store)]).toEqual([null, [], []])
    await sql`insert into users values (1, 'a@b')`
    await writeFiles(folder, drop)

    const { json: plan } = await call('lint', ['plan'])
    expect(changesOf(plan)).toEqual([`back up database ${database}`, 'apply migration 2_drop'])
    expect(manifestsIn(store)).toEqual([])

    const { json } = await call('lint', ['up'])
    expect(json.error).toBe(null)
    expect(json.backup_first).toEqual([
      { id: expect.any(String), database, size_bytes: expect.any(Number), duration_ms: expect.any(Number) },
    ])
    expect(changesOf(json)).toEqual([`back up database ${database}`, 'apply migration 2_drop'])
    const [{ id }] = json.backup_first
    expect(manifestsIn(store)).toEqual([join(database, id, 'manifest.json')])

    const into = uniqueName('before')
    const { json: restored } = await call('lint', ['restore', id, '--into', into, '--yes'])
    expect(restored.error).toBe(null)
    const copy = open(into)
    expect(await copy`select id, email from users`).toEqual([{ id: 1, email: 'a@b' }])
    await copy.end()

    const { json: again } = await call('lint', ['up'])
    expect([again.backup_first, again.steps.every(({ state }: Json) => state === 'nothing')]).toEqual([[], true])
  })

  test('lint: a harmless file makes none; always: it does, also by `migrate`, but not with --fake or --dry-run', async ({
    call,
    folder,
    store,
    database,
  }) => {
    await call('never', ['migrate'])
    await writeFiles(folder, { 'migrations/2_note.sql': 'alter table users add column note text' })
    expect((await call('lint', ['migrate'])).json.backup_first).toEqual([])
    await writeFiles(folder, { 'migrations/3_more.sql': 'alter table users add column more text' })
    const { json: dry } = await call('always', ['migrate', '--dry-run'])
    expect(changesOf(dry)).toEqual([`back up database ${database}`, 'apply migration 3_more'])
    expect(manifestsIn(store)).toEqual([])
    expect((await call('always', ['migrate'])).json.backup_first).toMatchObject([{ database }])
    expect(manifestsIn(store)).toHaveLength(1)
    await writeFiles(folder, { 'migrations/4_last.sql': 'alter table users add column last text' })
    expect((await call('always', ['migrate', '--fake'])).json.backup_first).toEqual([])
    expect((await call('always', ['migrate'])).json.backup_first).toEqual([])
    expect(manifestsIn(store)).toHaveLength(1)
  })

  test('a backup that cannot be made is exit 60, and nothing is migrated, in no database', async ({
    call,
    folder,
    dir,
    database,
    sql,
  }) => {
    await call('never', ['migrate'])
    const second = uniqueName('second')
    await sql.unsafe(`create database ${second}`)
    const other = open(second)
    await other`create table there (id int)`
    await other.end()
    await writeFiles(folder, drop)
    await writeFiles(dir, { file: '' })
    await writeFiles(folder, { 'others/1_x.sql': 'create table x (id int)' })
    const failed = await call('lint', ['migrate'], {
      backup: { store: `file://${join(dir, 'file', 'store')}` },
      databases: { [second]: { migrate: { dir: 'others' } }, [database]: { migrate: { dir: 'migrations' } } },
      migrate: { backupFirst: 'always' },
    })
    expect([failed.code, failed.json.error.kind, failed.json.backup_first]).toEqual([60, 'backup', []])
    expect(failed.json.error.message).toContain(`nothing was migrated, because ${second} could not be backed up first`)
    expect(
      await sql`select attname from pg_attribute where attrelid = 'users'::regclass and attname = 'email'`,
    ).toHaveLength(1)
    const untouched = open(second)
    expect(await untouched`select to_regclass('x') as x, to_regnamespace('pgbosun') as state`).toEqual([
      { x: null, state: null },
    ])
    await untouched.end()
  })

  test('a server or a user of backups that does not answer or may not read is exit 60 too, and the table is as it was', async ({
    call,
    folder,
    database,
    sql,
  }) => {
    await call('never', ['migrate'])
    await writeFiles(folder, drop)
    const user = { name: uniqueName('nobody'), password: 'x' }
    await sql.unsafe(`create role ${user.name} login password 'x'`)
    const closed = urlOf(database).replace(/:\d+\//, ':1/')
    for (const url of [closed, urlOf(database, { ...user, password: 'wrong' }), urlOf(database, user)]) {
      await writeFiles(folder, { url })
      const { code, json } = await call('', ['migrate'], {
        backup: { store: `file://${folder}/backups`, url: { file: 'url' } },
        wait: { timeout: '2s' },
        migrate: { backupFirst: 'lint' },
      })
      expect([code, json.error.kind], json.error.message).toEqual([60, 'backup'])
      expect(json.error.hint).toContain('migrate.backupFirst')
    }
    expect(await sql`select email from users`).toEqual([])
    expect(await sql`select 1 from pgbosun.events where phase = 'started'`).toHaveLength(1)
  })

  test('of every database with pending files, before the first of them is migrated; a failure later still names them', async ({
    call,
    folder,
    store,
    database,
    sql,
  }) => {
    await call('never', ['migrate'])
    const second = uniqueName('second')
    await sql.unsafe(`create database ${second}`)
    const other = open(second)
    await other`create table there (id int)`
    await writeFiles(folder, { ...drop, 'others/1_fails.sql': 'truncate there; select 1/0' })
    const { code, json } = await call('lint', ['migrate'], {
      databases: { [database]: { migrate: { dir: 'migrations' } }, [second]: { migrate: { dir: 'others' } } },
    })
    expect(code).toBe(20)
    expect(json.backup_first).toMatchObject([{ database }, { database: second }])
    expect(manifestsIn(store)).toHaveLength(2)
    const changes = changesOf(json)
    expect(changes.slice(0, 2)).toEqual([`back up database ${database}`, `back up database ${second}`])
    await other.end()
  })

  test('none is made of a new database, with a declared extension in it, nor for what is refused', async ({
    call,
    folder,
    store,
    sql,
  }) => {
    const created = uniqueName('new')
    const { json } = await call('always', ['up'], {
      databases: { [created]: { extensions: { pg_stat_statements: {} }, migrate: { dir: 'migrations' } } },
    })
    expect([json.error, json.backup_first]).toEqual([null, []])

    await call('never', ['migrate'])
    await writeFiles(folder, drop)
    await writeFiles(folder, { 'migrations/1_users.sql': 'create table users (id int, email text, edited int)' })
    expect((await call('always', ['migrate'])).code).toBe(21)
    await writeFiles(folder, { 'migrations/1_users.sql': 'create table users (id int, email text)' })
    await writeFiles(folder, { 'migrations/2_drop.sql': 'alter table users drop column email' })
    const rules = { rules: { 'drop-column': 'error' } }
    expect((await call('lint', ['migrate'], { migrate: { backupFirst: 'lint', lint: rules } })).code).toBe(22)
    expect(filesBelow(store)).toEqual([])
    expect(await sql`select 1 from pgbosun.migrations`).toHaveLength(1)
  })

  test('before migrate.command only with always', async ({ call, folder, store, database, sql }) => {
    await sql`create table users (id int)`
    rmSync(join(folder, 'migrations'), { recursive: true })
    const withCommand = (backupFirst: string) => ({ migrate: { backupFirst, command: ['true'] } })
    expect((await call('', ['up'], withCommand('lint'))).json.backup_first).toEqual([])
    expect(changesOf((await call('', ['plan'], withCommand('always'))).json)).toContain(`back up database ${database}`)
    expect(filesBelow(store)).toEqual([])
    expect((await call('', ['up'], withCommand('always'))).json.backup_first).toMatchObject([{ database }])
  })

  test('the dump has let go of its locks before the migrations start', async ({ call, folder, sql }) => {
    await call('never', ['migrate'])
    await writeFiles(folder, { 'migrations/2_drop.sql': 'drop table users' })
    const { json } = await call('lint', ['up'], { migrate: { backupFirst: 'lint', lockTimeout: '1s', lockRetries: 0 } })
    expect([json.error, json.backup_first.length]).toEqual([null, 1])
    expect(await sql`select to_regclass('users') as users`).toEqual([{ users: null }])
  })
})
