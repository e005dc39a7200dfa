import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { run, runJson } from './support/cli.ts'
import { fails } from './support/fails.ts'
import { committed } from './support/formats.ts'
import { test as base, type Sql, urlOf, writeFiles } from './support/postgres.ts'

// biome-ignore lint/suspicious/noExplicitAny: the document is checked field by field
type Document = { code: number | null; json: Record<string, any> }
type Fixtures = {
  /** Runs a command with a format. */
  pgbosun: (format: string, ...args: string[]) => Promise<Document>
  refused: (format: string, ...args: string[]) => ReturnType<typeof fails>
  /** Runs a command with our format on the folder that adopt wrote. */
  ours: (...args: string[]) => Promise<Document>
  /** The folder that adopt wrote, name to text. */
  written: () => Record<string, string>
}

const test = base.extend<Fixtures>({
  pgbosun: async ({ dir, database }, use) => use((format, ...args) => runJson(args, where(dir, database, format))),
  refused: async ({ dir, database }, use) => use((format, ...args) => fails(args, where(dir, database, format))),
  ours: async ({ dir, database }, use) =>
    use((...args) =>
      runJson(args, {
        cwd: dir,
        env: { DATABASE_URL: urlOf(database), PGBOSUN_MIGRATE_DIR: 'migrations-pgbosun' },
      }),
    ),
  written: async ({ dir }, use) => use(() => folder(join(dir, 'migrations-pgbosun'))),
})

const where = (cwd: string, database: string, format: string) => ({
  cwd,
  env: { DATABASE_URL: urlOf(database), ...(format !== '' && { PGBOSUN_MIGRATE_FORMAT: format }) },
})

const folder = (dir: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(dir, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name))
      .sort()
      .map((path) => [path.slice(dir.length + 1), readFileSync(path, 'utf8')]),
  )

const writeMigrations = (dir: string, files: Record<string, string>) =>
  writeFiles(dir, Object.fromEntries(Object.entries(files).map(([name, text]) => [`migrations/${name}`, text])))

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

const create = (n: number) => `create table t${n} (id int);\n`
const drop = (n: number) => `drop table t${n};\n`
const three = (write: (n: number) => Record<string, string>) => Object.assign({}, ...[1, 2, 3].map(write))

/** Three migrations in the tool's format; what they become; the table of the tool. */
const formats: { format: string; table: string; files: Record<string, string>; expected: Record<string, string> }[] = [
  {
    format: 'sqlx',
    table: '_sqlx_migrations',
    files: three((n) => ({
      [`2026010${n}_create_t${n}.up.sql`]: create(n),
      [`2026010${n}_create_t${n}.down.sql`]: drop(n),
    })),
    expected: three((n) => ({
      [`2026010${n}_create_t${n}.sql`]: create(n),
      [`2026010${n}_create_t${n}.down.sql`]: drop(n),
    })),
  },
  {
    format: 'dbmate',
    table: 'schema_migrations',
    files: three((n) => ({ [`00${n}_t${n}.sql`]: `-- migrate:up\n${create(n)}-- migrate:down\n${drop(n)}` })),
    expected: three((n) => ({
      [`00${n}_t${n}.sql`]: `-- migrate:up\n${create(n)}`,
      [`00${n}_t${n}.down.sql`]: `-- migrate:down\n${drop(n)}`,
    })),
  },
  {
    format: 'golang-migrate',
    table: 'schema_migrations',
    files: three((n) => ({
      [`00000${n}_t${n}.up.sql`]: `BEGIN;\n${create(n)}COMMIT;\n`,
      [`00000${n}_t${n}.down.sql`]: drop(n),
    })),
    expected: three((n) => ({
      [`00000${n}_t${n}.sql`]: `      \n${create(n)}       \n`,
      [`00000${n}_t${n}.down.sql`]: drop(n),
    })),
  },
  {
    format: 'goose',
    table: 'goose_db_version',
    files: three((n) => ({ [`0000${n}_t${n}.sql`]: `-- +goose Up\n${create(n)}-- +goose Down\n${drop(n)}` })),
    expected: three((n) => ({ [`0000${n}_t${n}.sql`]: create(n), [`0000${n}_t${n}.down.sql`]: drop(n) })),
  },
  {
    format: 'flyway',
    table: 'flyway_schema_history',
    files: three((n) => ({ [`sub/V1.${n}__create_t${n}.sql`]: create(n) })),
    expected: three((n) => ({ [`00${n}_create_t${n}.sql`]: create(n) })),
  },
  {
    format: 'node-pg-migrate',
    table: 'pgmigrations',
    files: three((n) => ({
      [`170000000000${n}_create-t${n}.sql`]: `-- Up Migration\n${create(n)}-- Down Migration\n${drop(n)}`,
    })),
    expected: three((n) => ({
      [`00${n}_create-t${n}.sql`]: `-- Up Migration\n${create(n)}`,
      [`00${n}_create-t${n}.down.sql`]: `-- Down Migration\n${drop(n)}`,
    })),
  },
  {
    format: 'graphile-migrate',
    table: 'graphile_migrate.migrations',
    files: committed([1, 2, 3].map(create), (n) => `-t${n}`),
    expected: three((n) => ({ [`00${n}_t${n}.sql`]: create(n) })),
  },
]

const rowsOf = (sql: Sql, table: string) => sql.unsafe(`select * from ${table} order by 1`)
const stateOf = (sql: Sql) =>
  sql`select seq, previous, version::text, name, sha256, status from pgbosun.migrations order by seq`

/** The table is made by the first adoption that writes. */
const adopted = async (sql: Sql) => {
  const [there] = await sql`select from pg_class where oid = to_regclass('pgbosun.migrations')`
  return there ? sql.unsafe('select * from pgbosun.migrations') : []
}

for (const { format, table, files, expected } of formats) {
  test(`${format}: the same is applied and pending as before, and the old ones stay`, async ({
    dir,
    sql,
    pgbosun,
    ours,
    written,
  }) => {
    await writeMigrations(dir, files)
    expect((await pgbosun(format, 'migrate', '--steps', '2')).json.error).toBe(null)
    const theirs = await rowsOf(sql, table)
    const source = folder(join(dir, 'migrations'))

    const shown = await pgbosun(format, 'migrate', 'adopt', '--from', format)
    expect([shown.code, shown.json.error, shown.json.needs_yes]).toEqual([0, null, true])
    expect(shown.json.files).toHaveLength(Object.keys(expected).length)
    expect(existsSync(join(dir, 'migrations-pgbosun'))).toBe(false)
    expect(await adopted(sql)).toEqual([])

    const { code, json } = await pgbosun('', 'migrate', 'adopt', '--from', format, '--yes')
    expect([code, json.error]).toEqual([0, null])
    expect(json).toMatchObject({ configuration: { 'migrate.format': 'pgbosun', 'migrate.dir': 'migrations-pgbosun' } })
    expect(written()).toEqual(expected)
    expect(folder(join(dir, 'migrations'))).toEqual(source)
    expect(await rowsOf(sql, table)).toEqual(theirs)

    const names = Object.keys(expected)
      .filter((name) => !name.includes('.down.'))
      .map((name) => name.slice(0, -4))
    const rows = names.slice(0, 2).map((name, i) => ({
      ...{ seq: i + 1, previous: i === 0 ? null : i, version: String(BigInt(/^\d+/.exec(name)![0])), name },
      ...{ sha256: sha256(expected[`${name}.sql`]!), status: 'adopted' },
    }))
    expect([...(await stateOf(sql))]).toEqual(rows)
    expect((await ours('migrate', 'status')).json).toMatchObject({
      ...{ format: 'pgbosun', applied: names.slice(0, 2), pending: names.slice(2), problems: [] },
    })

    const again = await pgbosun(format, 'migrate', 'adopt', '--from', format, '--yes')
    expect([again.code, again.json.steps[0].state, again.json.needs_yes]).toEqual([0, 'nothing', false])
    expect([...(await stateOf(sql))]).toEqual(rows)

    expect((await ours('migrate')).json.results).toMatchObject([{ name: names[2], status: 'applied' }])
    expect(await sql`select to_regclass('t3') is not null as there`).toEqual([{ there: true }])
    if (names.length < Object.keys(expected).length) {
      expect((await ours('migrate', 'down', '--steps', '2')).json.error).toBe(null)
      expect(await sql`select to_regclass('t2') is null as gone`).toEqual([{ gone: true }])
    }
  })
}

describe('what the tool knows', () => {
  test('of time, duration and person goes with it', async ({ dir, sql, pgbosun }) => {
    await writeMigrations(dir, { 'V1__a.sql': create(1) })
    await pgbosun('flyway', 'migrate')
    await sql`update flyway_schema_history set installed_on = '2024-02-03 04:05:06.789', execution_time = 17, installed_by = 'ada'`
    expect((await pgbosun('flyway', 'migrate', 'adopt', '--from', 'flyway', '--yes')).json.error).toBe(null)
    const [zone] = await sql`select '2024-02-03 04:05:06.789'::timestamp::timestamptz as t`
    expect(await sql`select applied_at as t, duration_ms, applied_by from pgbosun.migrations`).toEqual([
      { t: zone!.t, duration_ms: 17, applied_by: 'ada' },
    ])
    expect(await sql`select command, phase from pgbosun.events where command like '%adopt' order by id`).toEqual([
      { command: 'migrate adopt', phase: 'started' },
      { command: 'migrate adopt', phase: 'finished' },
    ])
  })

  test('flyway: repeatable files, a baseline, and what must be outside a transaction', async ({
    dir,
    sql,
    pgbosun,
    ours,
    written,
  }) => {
    await sql.unsafe(create(1))
    await writeMigrations(dir, {
      'V1__a.sql': create(1),
      'V2__b.sql': 'create index concurrently t1_id on t1 (id);\n',
      'V3__vacuum.sql': 'vacuum t1;\nselect 1;\n',
      'V3__vacuum.sql.conf': 'executeInTransaction=false\n',
      'R__all_views.sql': 'create or replace view v as select 1 as one;\n',
      'R__z.sql': 'select 1;\n',
    })
    await pgbosun('flyway', 'migrate', 'baseline', '1')
    expect((await pgbosun('flyway', 'migrate')).json.error).toBe(null)
    await writeMigrations(dir, { 'R__z.sql': 'select 2;\n' })
    expect((await pgbosun('flyway', 'migrate', 'adopt', '--from', 'flyway', '--yes')).json.error).toBe(null)
    expect(written()).toEqual({
      '1_a.sql': create(1),
      '2_b.sql': 'create index concurrently t1_id on t1 (id);\n',
      '3_vacuum.sql': '-- pgbosun: no-transaction\nvacuum t1;\nselect 1;\n',
      'repeatable/all_views.sql': 'create or replace view v as select 1 as one;\n',
      'repeatable/z.sql': 'select 2;\n',
    })
    expect((await ours('migrate', 'status')).json).toMatchObject({
      ...{ applied: ['1_a', '2_b', '3_vacuum'], pending: ['repeatable/z'], problems: [] },
    })
    expect(await sql`select id, history, status from pgbosun.migration_details where history like 'pgbosun%'`).toEqual([
      { id: 'repeatable/all_views', history: 'pgbosun repeatable', status: 'adopted' },
    ])
    expect((await ours('migrate')).json.results).toMatchObject([{ name: 'repeatable/z', status: 'applied' }])
  })

  test('flyway: a database that began with a baseline migration has it as its first file', async ({
    dir,
    pgbosun,
    ours,
    written,
  }) => {
    await writeMigrations(dir, {
      ...{
        'B2__base.sql': `${create(1)}${create(2)}`,
        'V1__t1.sql': create(1),
        'V2__t2.sql': create(2),
        'V3__t3.sql': create(3),
      },
    })
    await pgbosun('flyway', 'migrate')
    const { json } = await pgbosun('flyway', 'migrate', 'adopt', '--from', 'flyway', '--yes')
    expect([json.error, json.warnings]).toEqual([
      null,
      ['not moved, because a baseline migration replaces them or they are for new databases only: V1__t1, V2__t2'],
    ])
    expect(Object.keys(written())).toEqual(['2_base.sql', '3_t3.sql'])
    expect((await ours('migrate', 'status')).json).toMatchObject({
      applied: ['2_base', '3_t3'],
      pending: [],
      problems: [],
    })
  })

  test('goose: variables are written as they are sent, and it is said', async ({ dir, database, pgbosun, written }) => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: this is how goose writes a variable
    const text = "-- +goose Up\n-- +goose ENVSUB ON\nselect '${WHO}';\n-- +goose ENVSUB OFF\n"
    await writeMigrations(dir, { '1_a.sql': text })
    const { env } = where(dir, database, 'goose')
    await runJson(['migrate'], { cwd: dir, env: { ...env, WHO: 'me' } })
    const { code, stderr, json } = await runJson(['migrate', 'adopt', '--from', 'goose', '--yes'], {
      cwd: dir,
      env: { ...env, WHO: 'me' },
    })
    expect(code, stderr).toBe(0)
    expect(json.warnings).toEqual([
      'the values of placeholders or variables were written into 1_a: the new files contain them, secret ones included',
    ])
    expect(written()['1_a.sql']).toContain("select 'me';")
    expect((await pgbosun('goose', 'migrate', 'status')).code).toBe(0)
  })
})

describe('is refused', () => {
  const dbmate = (n: number, up = create(n)) => ({ [`00${n}_t${n}.sql`]: `-- migrate:up\n${up}-- migrate:down\n` })
  const adopt = ['migrate', 'adopt', '--from', 'dbmate', '--yes']

  test('without a format, or with one that is not another tool’s', async ({ refused }) => {
    expect(await refused('', 'migrate', 'adopt')).toMatchObject({
      code: 2,
      message: expect.stringContaining('needs --from'),
    })
    expect(await refused('', 'migrate', 'adopt', '--from', 'dbmat')).toMatchObject({
      code: 2,
      message: '--from dbmat: there is no such format; did you mean dbmate?',
    })
    expect(await refused('', 'migrate', 'adopt', '--from', 'pgbosun')).toMatchObject({ code: 2 })
  })

  test('without a history: everything would look pending', async ({ dir, refused }) => {
    await writeMigrations(dir, dbmate(1))
    expect(await refused('dbmate', ...adopt)).toMatchObject({
      ...{ code: 21, kind: 'history', message: 'there is no history of dbmate in this database' },
    })
    expect(existsSync(join(dir, 'migrations-pgbosun'))).toBe(false)
  })

  test.for<[string, string, (sql: Sql, dir: string) => Promise<unknown>, RegExp]>([
    [
      'golang-migrate',
      'dirty',
      (sql) => sql`update schema_migrations set dirty = true`,
      /t2 failed, or was interrupted/,
    ],
    [
      'sqlx',
      'failed',
      (sql) => sql`update _sqlx_migrations set success = false where version = 20260102`,
      /create_t2 .*failed/,
    ],
    [
      'flyway',
      'edited',
      (_, dir) => writeMigrations(dir, { 'sub/V1.1__create_t1.sql': 'select 1;' }),
      /create_t1 was changed/,
    ],
    ['dbmate', 'edited', (_, dir) => writeMigrations(dir, dbmate(1, 'select 1;\n')), /001_t1 was changed/],
    [
      'dbmate',
      'missing',
      (sql) => sql`insert into schema_migrations values ('0015')`,
      /0015 was applied, but its file is gone/,
    ],
    [
      'goose',
      'ahead',
      (sql) => sql`insert into goose_db_version (version_id, is_applied) values (9, true)`,
      /9 was applied and is newer/,
    ],
    [
      'dbmate',
      'late',
      (sql) => sql`delete from schema_migrations where version = '001'`,
      /001_t1 is not applied, but is older/,
    ],
  ])('%s: with a history where something is %s', async ([format, , spoil, message], { dir, sql, pgbosun }) => {
    const { files } = formats.find((one) => one.format === format)!
    await writeMigrations(dir, files)
    expect((await pgbosun(format, 'migrate', '--steps', '2')).json.error).toBe(null)
    await spoil(sql, dir)
    const { code, json } = await pgbosun(format, 'migrate', 'adopt', '--from', format, '--yes')
    expect([code, json.error.kind]).toEqual([21, 'history'])
    expect(json.error.message).toMatch(message)
    expect(existsSync(join(dir, 'migrations-pgbosun'))).toBe(false)
    expect(await adopted(sql)).toEqual([])
  })

  test('into a folder that contains something else; what is already there is kept', async ({
    dir,
    sql,
    pgbosun,
    refused,
    written,
  }) => {
    await writeMigrations(dir, { ...dbmate(1), ...dbmate(2) })
    await pgbosun('dbmate', 'migrate')
    await writeFiles(dir, { 'migrations-pgbosun/001_t1.sql': 'something else' })
    expect(await refused('dbmate', ...adopt)).toMatchObject({
      code: 2,
      message: expect.stringMatching(/is not empty: it contains 001_t1.sql, with other content/),
    })
    await writeFiles(dir, {
      'migrations-pgbosun/001_t1.sql': `-- migrate:up\n${create(1)}`,
      'migrations-pgbosun/x.md': '',
    })
    expect(await refused('dbmate', ...adopt)).toMatchObject({
      code: 2,
      message: expect.stringMatching(/contains x.md, which is none of the new files/),
    })
    expect(await adopted(sql)).toEqual([])
    expect((await pgbosun('dbmate', ...adopt, '--into', 'elsewhere/new')).json.error).toBe(null)
    expect(Object.keys(folder(join(dir, 'elsewhere/new')))).toHaveLength(4)
    expect(Object.keys(written())).toHaveLength(2)
  })

  test('new files may not go into the folder of the tool', async ({ dir, refused, pgbosun }) => {
    await writeMigrations(dir, dbmate(1))
    await pgbosun('dbmate', 'migrate')
    for (const into of ['migrations', 'migrations/new'])
      expect(await refused('dbmate', ...adopt, '--into', into)).toMatchObject({
        code: 2,
        message: expect.stringContaining('the old ones are in'),
      })
  })

  test('when our history went on by itself', async ({ dir, pgbosun, ours, refused }) => {
    await writeMigrations(dir, dbmate(1))
    await pgbosun('dbmate', 'migrate')
    expect((await pgbosun('dbmate', ...adopt)).code).toBe(0)
    await writeFiles(dir, { 'migrations-pgbosun/002_own.sql': create(2) })
    expect((await ours('migrate')).code).toBe(0)
    expect(await refused('dbmate', ...adopt, '--into', 'again')).toMatchObject({
      code: 21,
      message: '002_own is already in pgbosun.migrations, but differs from what would be recorded there',
    })
  })

  test('while somebody writes the tool’s history', async ({ dir, sql, pgbosun, refused }) => {
    await writeMigrations(dir, dbmate(1))
    await pgbosun('dbmate', 'migrate')
    writeFileSync(join(dir, 'pgbosun.yaml'), 'migrate: { lockTimeout: 200ms }\n')
    await sql.begin(async (tx) => {
      await tx`insert into schema_migrations values ('002')`
      expect(await refused('dbmate', ...adopt)).toMatchObject({ code: 11, kind: 'locked' })
    })
    expect(await adopted(sql)).toEqual([])
  })
})

test('what was applied meanwhile is added by the next adopt', async ({ dir, sql, pgbosun, ours }) => {
  const { files } = formats.find(({ format }) => format === 'goose')!
  await writeMigrations(dir, files)
  await pgbosun('goose', 'migrate', '--steps', '1')
  await pgbosun('goose', 'migrate', 'adopt', '--from', 'goose', '--yes')
  await pgbosun('goose', 'migrate')
  expect((await pgbosun('goose', 'migrate', 'adopt', '--from', 'goose', '--yes')).json.error).toBe(null)
  expect(await sql`select seq, previous, name from pgbosun.migrations order by seq`).toEqual([
    { seq: 1, previous: null, name: '00001_t1' },
    { seq: 2, previous: 1, name: '00002_t2' },
    { seq: 3, previous: 2, name: '00003_t3' },
  ])
  expect((await ours('migrate', 'status')).json).toMatchObject({ pending: [], problems: [] })
})

test('the role of the migrations reads the history, and does not write ours', async ({
  dir,
  database,
  sql,
  pgbosun,
}) => {
  const role = `owner_${database}`
  await sql.unsafe(`create role "${role}"; grant create on schema public to "${role}"`)
  await writeMigrations(dir, { '1_a.sql': '-- migrate:up\nselect 1;\n-- migrate:down\n' })
  await writeFiles(dir, { 'pgbosun.yaml': `migrate: { role: ${role} }\n` })
  expect((await pgbosun('dbmate', 'migrate')).json.error).toBe(null)
  expect((await pgbosun('dbmate', 'migrate', 'adopt', '--from', 'dbmate', '--yes')).json.error).toBe(null)
  expect(await sql`select applied_by = current_user as me from pgbosun.migrations`).toEqual([{ me: true }])
})

test('says for people what it will do, and what to do then', async ({ dir, database, pgbosun }) => {
  await writeMigrations(dir, { 'V1.1__a.sql': create(1), 'V2__b.sql': create(2) })
  await pgbosun('flyway', 'migrate', '--steps', '1')
  const adopt = ['migrate', 'adopt', '--from', 'flyway', '--log-level', 'error']
  const shown = await run(adopt, where(dir, database, 'flyway'))
  expect(shown.stdout.replace(/at \S+Z/, 'at …')).toBe(`adopt  4 changes
         create table pgbosun.migrations  does not exist
         write file 001_a.sql             does not exist yet
         write file 002_b.sql             does not exist yet
         adopt migration 001_a            flyway applied V1.1__a at …
nothing was changed yet: run the same command with --yes
`)
  const done = await run([...adopt, '--yes'], where(dir, database, 'flyway'))
  expect(done.stdout).toMatch(
    /now set migrate.format: pgbosun and migrate.dir: migrations-pgbosun, and do not run flyway any more\n$/,
  )
})

test('warns of each place where a file uses the history of the tool, which a new database does not have', async ({
  pgbosun,
  dir,
}) => {
  const first = join(dir, 'migrations', '001_a.sql')
  await writeMigrations(dir, {
    '001_a.sql':
      '-- migrate:up\n-- not schema_migrations\ncreate view v as select max(version) from schema_migrations;\n-- migrate:down\ndrop view v;\n\ntable public.schema_migrations',
    '002_b.sql': "-- migrate:up\ndo $$ begin execute 'select from schema_migrations'; end $$;\n-- migrate:down\n",
    '003_c.sql': '-- migrate:up\ncreate table schema_migrations_old (id int);\n-- migrate:down\n',
  })
  expect((await pgbosun('dbmate', 'migrate', '--steps', '1')).code).toBe(0)
  const { code, json } = await pgbosun('', 'migrate', 'adopt', '--from', 'dbmate')
  const uses = 'uses the table schema_migrations of dbmate: a new database does not have it'
  expect([code, json.warnings]).toEqual([
    0,
    [
      expect.stringContaining(`${first}, line 3, ${uses}`),
      expect.stringContaining(`${first}, line 7, ${uses}`),
      expect.stringContaining(`${join(dir, 'migrations', '002_b.sql')}, line 2, ${uses}`),
    ],
  ])
})
