import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { run, runJson } from './support/cli.ts'
import { fails } from './support/fails.ts'
import { committed } from './support/formats.ts'
import { test as base, type Sql, urlOf, writeFiles } from './support/postgres.ts'

// biome-ignore lint/suspicious/noExplicitAny: the document is checked field by field
type Document = { code: number | null; json: Record<string, any> }
type Fixtures = {
  pgbosun: (format: string, ...args: string[]) => Promise<Document>
  repair: (format: string, ...args: string[]) => Promise<Document>
  refused: (format: string, ...args: string[]) => ReturnType<typeof fails>
  write: (files: Record<string, string>) => Promise<void>
  remove: (file: string) => void
}

const where = (cwd: string, database: string, format: string) => ({
  cwd,
  env: { DATABASE_URL: urlOf(database), PGBOSUN_MIGRATE_FORMAT: format },
})

/** `repair` must succeed. */
const test = base.extend<Fixtures>({
  pgbosun: async ({ dir, database }, use) => use((format, ...args) => runJson(args, where(dir, database, format))),
  refused: async ({ dir, database }, use) =>
    use((format, ...args) => fails(['migrate', 'repair', ...args], where(dir, database, format))),
  repair: async ({ dir, database }, use) =>
    use(async (format, ...args) => {
      const { code, json, stderr } = await runJson(['migrate', 'repair', ...args], where(dir, database, format))
      expect([code, json.error], stderr).toEqual([0, null])
      return { code, json }
    }),
  write: async ({ dir }, use) =>
    use((files) =>
      writeFiles(dir, Object.fromEntries(Object.entries(files).map(([name, text]) => [`migrations/${name}`, text]))),
    ),
  remove: async ({ dir }, use) => use((file) => rmSync(join(dir, 'migrations', file))),
})

const create = (n: number) => `create table t${n} (id int);\n`

/** One migration file of each format, with a text that may differ. */
const fileOf: Record<string, (n: number, text?: string) => Record<string, string>> = {
  pgbosun: (n, text = create(n)) => ({ [`00${n}_t${n}.sql`]: text }),
  sqlx: (n, text = create(n)) => ({ [`000${n}_t${n}.sql`]: text }),
  dbmate: (n, text = create(n)) => ({ [`00${n}_t${n}.sql`]: `-- migrate:up\n${text}-- migrate:down\n` }),
  'golang-migrate': (n, text = create(n)) => ({ [`00${n}_t${n}.up.sql`]: text }),
  goose: (n, text = create(n)) => ({ [`0000${n}_t${n}.sql`]: `-- +goose Up\n${text}` }),
  flyway: (n, text = create(n)) => ({ [`V${n}__t${n}.sql`]: text }),
  'node-pg-migrate': (n, text = create(n)) => ({ [`00${n}_t${n}.sql`]: `-- Up Migration\n${text}` }),
}

const three = (format: string) => Object.assign({}, ...[1, 2, 3].map((n) => fileOf[format]!(n)))
const nameOf = (format: string, n: number) => Object.keys(fileOf[format]!(n))[0]!.replace(/(\.up)?\.sql$/, '')

const histories: Record<string, string> = {
  pgbosun: `select version, name, sha256, status from pgbosun.migrations order by version`,
  sqlx: 'select version, success, checksum from _sqlx_migrations order by version',
  dbmate: 'select version from schema_migrations order by version',
  'golang-migrate': 'select version, dirty from schema_migrations',
  goose: 'select version_id, is_applied from goose_db_version order by version_id',
  flyway:
    'select version, description, type, script, checksum, success from flyway_schema_history order by installed_rank',
  'node-pg-migrate': 'select name from pgmigrations order by id',
}
const historyOf = async (sql: Sql, format: string) => [...(await sql.unsafe(histories[format]!))]

/** The chain of our rows: each refers to the one before it. */
const chainOf = async (sql: Sql) =>
  (await sql`select seq, previous, version::int from pgbosun.migrations order by seq`).map(
    ({ seq, previous, version }) => `${version}: ${seq} after ${previous}`,
  )

const isSound = async (pgbosun: Fixtures['pgbosun'], format: string) => {
  const { code, json } = await pgbosun(format, 'migrate', 'verify')
  expect([code, json.error, json.warnings]).toEqual([0, null, []])
}

describe('a changed file', () => {
  test('is explained, and accepted only with --yes', async ({
    dir,
    database,
    sql,
    write,
    pgbosun,
    repair,
    refused,
  }) => {
    await write(three('pgbosun'))
    await pgbosun('pgbosun', 'migrate')
    await write(fileOf.pgbosun!(2, `-- a comment\n${create(2)}`))
    const before = await historyOf(sql, 'pgbosun')

    expect(await refused('pgbosun')).toMatchObject({
      ...{ code: 2, kind: 'usage', message: 'a repair needs --yes; nothing was changed' },
      json: {
        needs_yes: true,
        repairs: [{ action: 'realign', name: '002_t2', wrong: 'was changed after it was applied' }],
      },
    })
    const dry = await repair('pgbosun', '--yes', '--dry-run')
    expect(dry.json).toMatchObject({ needs_yes: true, steps: [{ name: 'repair', state: 'not-run' }] })
    const shown = await run(['migrate', 'repair', '--dry-run'], where(dir, database, 'pgbosun'))
    expect(shown.stdout.replaceAll(/[0-9a-f]{12}…/g, 'HASH…')).toBe(`002_t2 was changed after it was applied
  writes  pgbosun.migrations: sha256 HASH… becomes HASH…
  check   compare it with what was applied: the file is not run again, so the change must have no effect (a comment, blanks); put any other change into a new migration
repair  1 change
          accept migration 002_t2  was changed after it was applied
`)
    expect(await historyOf(sql, 'pgbosun')).toEqual(before)

    expect((await repair('pgbosun', '--yes')).json).toMatchObject({ needs_yes: false, steps: [{ state: 'done' }] })
    await isSound(pgbosun, 'pgbosun')
    const after = await historyOf(sql, 'pgbosun')
    expect(after.filter((row, i) => row.sha256 !== before[i]!.sha256).map(({ name }) => name)).toEqual(['002_t2'])
    expect((await repair('pgbosun', '--yes')).json.steps).toMatchObject([{ state: 'nothing' }])
    expect(
      await sql`select command, phase, exit_code, detail -> 'changes' as changes from pgbosun.events order by id offset 2`,
    ).toMatchObject([
      { command: 'migrate repair', phase: 'started' },
      {
        command: 'migrate repair',
        phase: 'finished',
        exit_code: 0,
        changes: [{ action: 'accept', object: 'migration 002_t2' }],
      },
    ])
  })

  test.for([
    'sqlx',
    'flyway',
    'dbmate',
    'goose',
    'golang-migrate',
    'node-pg-migrate',
  ])('%s: the history is what the tool would have left of the new file', async (format, {
    sql,
    write,
    pgbosun,
    repair,
  }) => {
    await write(three(format))
    await pgbosun(format, 'migrate')
    await write(fileOf[format]!(2, `-- a comment\n${create(2)}`))
    await repair(format, '--yes')
    await isSound(pgbosun, format)
    const repaired = await historyOf(sql, format)
    expect(await sql`select count(*)::int as n from pgbosun.migration_details`).toEqual([{ n: 3 }])

    await sql.unsafe(`drop schema pgbosun cascade; drop schema public cascade; create schema public`)
    await pgbosun(format, 'migrate')
    expect(repaired).toEqual(await historyOf(sql, format))
  })

  test('graphile-migrate: the hash changes, and that which the next row refers to', async ({
    sql,
    write,
    pgbosun,
    repair,
  }) => {
    await write(committed([create(1), create(2), create(3)]))
    await pgbosun('graphile-migrate', 'migrate')
    await write(committed([`-- first\n${create(1)}`, create(2), create(3)]))
    expect((await pgbosun('graphile-migrate', 'migrate', 'verify')).code).toBe(21)
    await repair('graphile-migrate', '--yes')
    await isSound(pgbosun, 'graphile-migrate')
    const query = 'select hash, previous_hash, filename from graphile_migrate.migrations order by filename'
    const repaired = [...(await sql.unsafe(query))]
    await sql`drop schema graphile_migrate cascade`
    await sql`drop schema pgbosun cascade`
    await sql`drop table t1, t2, t3`
    await pgbosun('graphile-migrate', 'migrate')
    expect(repaired).toEqual([...(await sql.unsafe(query))])
  })

  test('sqlx: one that another checkout wrote with CRLF is made what sqlx compares', async ({
    sql,
    write,
    pgbosun,
    repair,
  }) => {
    await write(fileOf.sqlx!(1))
    await pgbosun('sqlx', 'migrate')
    await write(fileOf.sqlx!(1, create(1).replace('\n', '\r\n')))
    expect((await repair('sqlx', '--dry-run')).json.repairs).toMatchObject([
      {
        wrong: 'differs from what was applied only in line endings or the like',
        check: expect.stringMatching(/^safe: /),
      },
    ])
    const before = await historyOf(sql, 'sqlx')
    await repair('sqlx', '--yes')
    expect(await historyOf(sql, 'sqlx')).not.toEqual(before)
    await isSound(pgbosun, 'sqlx')
  })
})

describe('a renamed file', () => {
  test('is recorded under its new name', async ({ sql, write, remove, pgbosun, repair }) => {
    await write(fileOf.pgbosun!(1))
    await pgbosun('pgbosun', 'migrate')
    remove('001_t1.sql')
    await write({ '001_better.sql': create(1) })
    expect((await pgbosun('pgbosun', 'migrate', 'verify')).json.warnings).toEqual([
      '001_better was applied under the name 001_t1',
    ])
    const { json } = await repair('pgbosun', '--yes')
    expect(json.repairs).toMatchObject([
      { name: '001_better', writes: 'pgbosun.migrations: 001_t1 becomes 001_better' },
    ])
    await isSound(pgbosun, 'pgbosun')
    expect(await sql`select name from pgbosun.migrations`).toEqual([{ name: '001_better' }])
  })

  test('flyway: gets its new description, which Flyway compares', async ({ sql, write, remove, pgbosun, repair }) => {
    await write(fileOf.flyway!(1))
    await pgbosun('flyway', 'migrate')
    remove('V1__t1.sql')
    await write({ 'V1__much_better.sql': create(1) })
    expect((await repair('flyway', '--yes')).json.repairs).toMatchObject([
      { wrong: 'was applied under the description t1', writes: 'public.flyway_schema_history: t1 becomes much better' },
    ])
    expect(await sql`select description from flyway_schema_history`).toEqual([{ description: 'much better' }])
    expect((await repair('flyway', '--yes')).json.steps).toMatchObject([{ state: 'nothing' }])
  })
})

/** What another tool, or one that was killed, leaves of the second of three migrations, of which the third never began. */
const stopped: Record<string, string> = {
  pgbosun: `update pgbosun.migrations set status = 'started' where version = 2`,
  sqlx: 'update _sqlx_migrations set success = false where version = 2',
  'golang-migrate': 'update schema_migrations set dirty = true',
  flyway: `update flyway_schema_history set success = false where version = '2'`,
}

describe('a migration that stopped', () => {
  for (const [format, spoil] of Object.entries(stopped)) {
    test(`${format}: took effect, says a person, and the rest runs`, async ({ sql, write, pgbosun, repair }) => {
      await write({ ...fileOf[format]!(1), ...fileOf[format]!(2) })
      await pgbosun(format, 'migrate')
      const sound = await historyOf(sql, format)
      await sql.unsafe(spoil)
      await write(fileOf[format]!(3))
      const name = nameOf(format, 2)
      const stuck = await pgbosun(format, 'migrate')
      expect([stuck.code, stuck.json.problems]).toEqual([21, [{ code: 'interrupted', name }]])
      expect(stuck.json.error.hint).toContain(`pgbosun migrate repair --applied ${name}`)

      await repair(format, '--applied', name, '--yes')
      expect(await historyOf(sql, format)).toEqual(sound)
      expect((await repair(format, '--applied', name, '--yes')).json.steps).toMatchObject([{ state: 'nothing' }])
      await isSound(pgbosun, format)
      expect((await pgbosun(format, 'migrate')).json.results).toMatchObject([{ name: nameOf(format, 3) }])
    })

    test(`${format}: did not, and runs again`, async ({ sql, write, pgbosun, repair }) => {
      await write({ ...fileOf[format]!(1), ...fileOf[format]!(2) })
      await pgbosun(format, 'migrate')
      const sound = await historyOf(sql, format)
      await sql.unsafe(`${spoil}; drop table t2`)
      await write(fileOf[format]!(3))
      const name = nameOf(format, 2)

      await repair(format, '--pending', '2', '--yes')
      expect((await pgbosun(format, 'migrate', 'status')).json).toMatchObject({
        ...{ applied: [nameOf(format, 1)], pending: [name, nameOf(format, 3)], problems: [] },
      })
      expect((await repair(format, '--pending', name, '--yes')).json.steps).toMatchObject([{ state: 'nothing' }])
      expect((await pgbosun(format, 'migrate')).json.results).toMatchObject([{ name }, { name: nameOf(format, 3) }])
      expect((await historyOf(sql, format)).length).toBe(sound.length + (format === 'golang-migrate' ? 0 : 1))
      await isSound(pgbosun, format)
    })
  }

  test.for(Object.keys(fileOf))('%s: halfway, and begins again', async (format, { sql, write, pgbosun, repair }) => {
    const halfway = (last: string) =>
      `create table t2 (id int);\ncreate index concurrently t2_id on t2 (id);\n${last};\n`
    await write({ ...fileOf[format]!(1), ...fileOf[format]!(2, halfway('select 1/0')) })
    const failed = await pgbosun(format, 'migrate')
    expect([failed.code, failed.json.error.hint]).toEqual([
      20,
      expect.stringContaining('its first 2 statements (of 3) took effect'),
    ])
    const { json } = await repair(format, '--pending', nameOf(format, 2), '--dry-run')
    expect(json.repairs).toMatchObject([{ check: expect.stringContaining('undo its first 2 statements by hand') }])

    await repair(format, '--pending', nameOf(format, 2), '--yes')
    await sql`drop table t2`
    await write(fileOf[format]!(2, halfway('select 1')))
    expect((await pgbosun(format, 'migrate')).json.results).toMatchObject([
      { name: nameOf(format, 2), status: 'applied' },
    ])
    await isSound(pgbosun, format)
    const repaired = await historyOf(sql, format)
    await sql.unsafe(`drop schema pgbosun cascade; drop schema public cascade; create schema public`)
    await pgbosun(format, 'migrate')
    expect(repaired).toEqual(await historyOf(sql, format))
  })

  test.for(Object.keys(fileOf))('%s: halfway, and a person did the rest', async (format, {
    sql,
    write,
    pgbosun,
    repair,
  }) => {
    const halfway = (last: string) =>
      `create table t2 (id int);\ncreate index concurrently t2_id on t2 (id);\n${last};\n`
    await write({ ...fileOf[format]!(1), ...fileOf[format]!(2, halfway('select 1/0')) })
    expect((await pgbosun(format, 'migrate')).code).toBe(20)
    await write(fileOf[format]!(2, halfway('select 1')))
    await repair(format, '--applied', nameOf(format, 2), '--yes')
    await isSound(pgbosun, format)
    expect((await pgbosun(format, 'migrate')).json.steps).toMatchObject([{ state: 'nothing' }])
    const repaired = await historyOf(sql, format)
    await sql.unsafe(`drop schema pgbosun cascade; drop schema public cascade; create schema public`)
    await pgbosun(format, 'migrate')
    expect(repaired).toEqual(await historyOf(sql, format))
  })

  test('the chain stays whole where a row in its middle goes', async ({ sql, write, pgbosun, repair }) => {
    await write(three('pgbosun'))
    await pgbosun('pgbosun', 'migrate')
    await sql.unsafe(`${stopped.pgbosun}; drop table t2`)
    await repair('pgbosun', '--pending', '002_t2', '--yes')
    expect(await chainOf(sql)).toEqual(['1: 1 after null', '3: 3 after 1'])
  })

  test('while it was undone: it is there, or it is gone', async ({ sql, write, pgbosun, repair }) => {
    const outside = '-- pgbosun: no-transaction\n'
    await write({ ...three('pgbosun'), '003_t3.down.sql': `${outside}vacuum t3;\nselect 1/0;\n` })
    await pgbosun('pgbosun', 'migrate')
    for (const flag of ['--applied', '--pending']) {
      expect((await pgbosun('pgbosun', 'migrate', 'down')).code).toBe(20)
      expect((await pgbosun('pgbosun', 'migrate')).json.error.message).toContain('was being undone')
      await repair('pgbosun', flag, '003_t3', '--yes')
      const { json } = await pgbosun('pgbosun', 'migrate', 'status')
      expect([json.problems, json.pending]).toEqual([[], flag === '--applied' ? [] : ['003_t3']])
    }
    expect(await chainOf(sql)).toEqual(['1: 1 after null', '2: 2 after 1'])
  })

  test('is the only one that is changed', async ({ sql, write, pgbosun, repair }) => {
    await write(three('pgbosun'))
    await pgbosun('pgbosun', 'migrate')
    await sql`update pgbosun.migrations set status = 'started' where version = 3`
    await write(fileOf.pgbosun!(1, '-- other\n'))
    expect((await repair('pgbosun', '--applied', '3', '--yes')).json.repairs).toMatchObject([{ name: '003_t3' }])
    expect((await pgbosun('pgbosun', 'migrate')).json.error.message).toBe('001_t1 was changed after it was applied')
  })

  test('flyway: a repeatable one runs again', async ({ sql, write, pgbosun, repair }) => {
    await write({ ...fileOf.flyway!(1), 'R__views.sql': 'create or replace view v as select 1 as one;\n' })
    await pgbosun('flyway', 'migrate')
    await sql`update flyway_schema_history set success = false where version is null`
    expect((await pgbosun('flyway', 'migrate')).code).toBe(21)
    await repair('flyway', '--pending', 'R__views', '--yes')
    expect((await pgbosun('flyway', 'migrate')).json.results).toMatchObject([{ name: 'R__views', status: 'applied' }])
    expect(await sql`select count(*)::int as n from flyway_schema_history where version is null`).toEqual([{ n: 1 }])
  })
})

test('flyway: a baseline migration that failed runs again', async ({ sql, write, pgbosun, repair }) => {
  await write({ 'B2__base.sql': `${create(1)}${create(2)}`, ...fileOf.flyway!(1), ...fileOf.flyway!(2) })
  await pgbosun('flyway', 'migrate')
  await sql.unsafe('update flyway_schema_history set success = false; drop table t1, t2')
  expect((await pgbosun('flyway', 'migrate')).json.problems).toEqual([{ code: 'interrupted', name: 'B2__base' }])
  await repair('flyway', '--pending', 'B2__base', '--yes')
  expect(await historyOf(sql, 'flyway')).toEqual([])
  expect((await pgbosun('flyway', 'migrate')).json.results).toMatchObject([{ name: 'B2__base', status: 'applied' }])
  await sql`update flyway_schema_history set success = false`
  await repair('flyway', '--applied', 'B2__base', '--yes')
  expect(await historyOf(sql, 'flyway')).toMatchObject([{ type: 'SQL_BASELINE', success: true }])
  expect((await pgbosun('flyway', 'migrate')).json.steps).toMatchObject([{ state: 'nothing' }])
})

describe('a migration whose file is gone', () => {
  test.for(Object.keys(fileOf))('%s: is forgotten, and what it made stays', async (format, {
    sql,
    write,
    remove,
    pgbosun,
    repair,
  }) => {
    // golang-migrate only knows the newest.
    const gone = format === 'golang-migrate' ? 3 : 2
    await write(three(format))
    await pgbosun(format, 'migrate')
    remove(Object.keys(fileOf[format]!(gone))[0]!)
    await repair(format, '--forget', String(gone), '--yes')
    await isSound(pgbosun, format)
    expect((await pgbosun(format, 'migrate', 'status')).json).toMatchObject({
      ...{ applied: [1, 2, 3].filter((n) => n !== gone).map((n) => nameOf(format, n)), pending: [], problems: [] },
    })
    expect(await sql.unsafe(`select to_regclass('t${gone}') is not null as there`)).toEqual([{ there: true }])
    if (format === 'pgbosun') expect(await chainOf(sql)).toEqual(['1: 1 after null', '3: 3 after 1'])
    if (format === 'flyway') {
      expect((await historyOf(sql, format)).map(({ version, type }) => `${version} ${type}`)).toEqual([
        '1 SQL',
        '2 SQL',
        '3 SQL',
        '2 DELETE',
      ])
    }
    await write(fileOf[format]!(4))
    expect((await pgbosun(format, 'migrate')).json.results).toMatchObject([
      { name: nameOf(format, 4), status: 'applied' },
    ])
  })
})

describe('is refused', () => {
  test.for([
    [['--applied', '9'], '9 is unknown'],
    [['--applied', '3'], '3 is not recorded: it is pending'],
    [['--pending', '9'], '9 is not in the history'],
    [['--pending', '001'], '001_t1 is applied: it did not stop halfway'],
    [['--forget', '9'], '9 is not in the history'],
    [['--forget', '1'], /^001_t1 still has its file: .*001_t1.sql$/],
    [['--applied', '2', '--pending', '002_t2'], 'two flags contradict each other about one migration'],
  ] as [string[], string | RegExp][])('%s', async ([args, message], { sql, write, pgbosun, refused }) => {
    await write(three('pgbosun'))
    await pgbosun('pgbosun', 'migrate', '--to', '2')
    await sql.unsafe(stopped.pgbosun!)
    const before = await historyOf(sql, 'pgbosun')
    expect(await refused('pgbosun', ...args, '--yes')).toMatchObject({
      ...{ code: 2, kind: 'usage', message: typeof message === 'string' ? message : expect.stringMatching(message) },
    })
    expect(await historyOf(sql, 'pgbosun')).toEqual(before)
  })

  test('what the server does not let happen, and then nothing is changed', async ({ sql, write, pgbosun, refused }) => {
    await write(three('sqlx'))
    await pgbosun('sqlx', 'migrate')
    await sql.unsafe(`update _sqlx_migrations set success = false where version = 3;
      create function no() returns trigger language plpgsql as $$ begin return null; end $$;
      create trigger no before delete on _sqlx_migrations for each row execute function no()`)
    const before = await historyOf(sql, 'sqlx')
    expect(await refused('sqlx', '--pending', '3', '--yes')).toMatchObject({
      ...{ code: 21, kind: 'history', message: 'the record of 0003_t3 could not be repaired; nothing was changed' },
    })
    expect(await historyOf(sql, 'sqlx')).toEqual(before)
  })
})

test('the role of the migrations writes the tool’s history, and not ours', async ({
  dir,
  database,
  sql,
  write,
  pgbosun,
  repair,
}) => {
  const role = `owner_${database}`
  await sql.unsafe(`create role "${role}"; grant create on schema public to "${role}"`)
  await writeFiles(dir, { 'pgbosun.yaml': `migrate: { role: ${role} }\n` })
  await write(three('flyway'))
  expect((await pgbosun('flyway', 'migrate')).json.error).toBe(null)
  await sql.unsafe(stopped.flyway!)
  await repair('flyway', '--applied', '2', '--yes')
  expect(await sql`select installed_by from flyway_schema_history where version = '2'`).toEqual([
    { installed_by: role },
  ])
})
