// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are placeholders of Flyway
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { urlOf, writeFiles } from './support/postgres.ts'
import type { Tool } from './support/tools/tool.ts'
import { installTools } from './support/tools.ts'
import {
  type Database,
  expectDone,
  historyOf,
  parts,
  pgbosun,
  schemaOf,
  test,
  withPgbosun,
  withTool,
  write,
} from './support/turns.ts'

const tools = await installTools()

/** Tests with one tool, if it is here; that it is not has been said. */
function withReal(format: Tool['format'], tests: (tool: Tool) => void): void {
  const tool = tools.find((tool) => tool.format === format)
  if (tool) describe(`the real ${format}`, { timeout: 180_000 }, () => tests(tool))
}

test('the tools whose peculiarities are tested are all different', () =>
  expect(new Set(tools.map(({ format }) => format)).size).toBe(tools.length))

/** Runs the tool, which has to fail. @returns what it printed */
async function failing(tool: Tool, cwd: string, { name }: Database, args = tool.up): Promise<string> {
  const { code, output } = await tool.run(args, { cwd, url: urlOf(name) })
  expect(code, output).not.toBe(0)
  return output
}

const edit = async (path: string, change: (text: string) => string) =>
  writeFiles('/', { [path]: change(await readFile(path, 'utf8')) })

const file = (dir: string, name: string) => join(dir, 'migrations', name)

/** What `verify` says: its exit code, and the problems by name. */
async function verify(tool: Tool, dir: string, database: Database) {
  const { code, json } = await pgbosun(tool, ['migrate', 'verify'], dir, database)
  return [code, (json.problems as { code: string; name: string }[]).map(({ code, name }) => `${name} ${code}`)]
}

withReal('node-pg-migrate', (tool) => {
  test('creates tables in the schema of its option, not in that of the user', async ({ databases, dir }) => {
    const [its, ours] = (await databases(2)) as [Database, Database]
    const [row] = await its.sql<{ user: string }[]>`select quote_ident(current_user) as user`
    await write(tool, dir, parts)
    for (const { sql } of [its, ours]) await sql.unsafe(`create schema ${row?.user}; create schema app`)
    await withTool(tool, dir, its)
    await withPgbosun(tool, dir, ours)
    expect(await schemaOf(ours)).toBe(await schemaOf(its))

    await withTool(tool, dir, its, ['up', '--schema', 'app'])
    await withPgbosun(tool, dir, ours, { env: { PGBOSUN_MIGRATE_TABLE: 'app.pgmigrations' } })
    expect(await schemaOf(ours)).toBe(await schemaOf(its))
    expect(await withTool(tool, dir, ours, ['up', '--schema', 'app'])).toMatch(tool.nothing)
    expect(await ours.sql`select count(*)::int as tables from pg_class where relname = 'orders'`).toEqual([
      { tables: 2 },
    ])
  })
})

withReal('graphile-migrate', (tool) => {
  test('uses pgSettings, placeholders, and a migration outside a transaction', async ({ databases, dir }) => {
    const [its, ours] = (await databases(2)) as [Database, Database]
    await write(tool, dir, [
      {
        up: "create table users (id int, email text);\ncomment on table users is ':DATABASE_OWNER of :REGION';",
        down: '',
      },
      { up: '--! no-transaction\ncreate index concurrently users_email on users (email);', down: '' },
      { up: 'create view emails as select email from users;\ngrant select on emails to :DATABASE_OWNER;', down: '' },
    ])
    await writeFiles(dir, {
      '.gmrc': `{
        // JSON5, as \`graphile-migrate init\` writes it
        "pgSettings": { "search_path": "app, public", },
        "placeholders": { ":REGION": "eu" },
      }`,
    })
    for (const { sql } of [its, ours]) await sql.unsafe('create schema app')
    await withTool(tool, dir, its)
    expect(await withPgbosun(tool, dir, ours)).toHaveLength(3)
    expect(await schemaOf(ours)).toBe(await schemaOf(its))
    expect(await historyOf(tool, ours)).toEqual(await historyOf(tool, its))
    expect(await ours.sql`select tablename, indexname from pg_indexes where schemaname = 'app'`).toEqual([
      { tablename: 'users', indexname: 'users_email' },
    ])
    await expectDone(tool, dir, ours)
  })
})

/** A table, and an index that is built concurrently, which cannot be in a transaction. */
const indexed = {
  table: { up: 'create table t (x int);', down: 'drop table t;' },
  index: { up: 'create index concurrently t_x on t (x);', down: 'drop index concurrently t_x;' },
}

/** Who applied the file outside a transaction makes no difference. */
async function expectSameOutside(tool: Tool, dir: string, [its, ours]: [Database, Database]) {
  await withTool(tool, dir, its)
  expect(await withPgbosun(tool, dir, ours)).toEqual([tool.title(1), tool.title(2)])
  expect(await historyOf(tool, ours)).toEqual(await historyOf(tool, its))
  expect(await schemaOf(ours)).toBe(await schemaOf(its))
  for (const database of [its, ours]) await expectDone(tool, dir, database)

  await withTool(tool, dir, ours, tool.down)
  await withPgbosun(tool, dir, its, { args: ['migrate', 'down'] })
  expect(await historyOf(tool, ours)).toEqual(await historyOf(tool, its))
  expect(await schemaOf(ours)).toBe(await schemaOf(its))
  expect(await schemaOf(ours)).not.toContain('t_x')
}

withReal('dbmate', (tool) => {
  test('runs a file outside a transaction as we do', async ({ databases, dir }) => {
    await write(tool, dir, [indexed.table, indexed.index])
    await edit(file(dir, '002_part.sql'), (text) => text.replaceAll(/:(up|down)$/gm, ':$1 transaction:false'))
    await expectSameOutside(tool, dir, (await databases(2)) as [Database, Database])
  })

  test('counts pending migrations as we do', async ({ databases, dir }) => {
    const [database] = (await databases(1)) as [Database]
    await write(tool, dir, parts.slice(0, 1))
    await withPgbosun(tool, dir, database)
    await write(tool, dir, parts.slice(0, 3))
    expect(await failing(tool, dir, database, ['status', '--exit-code'])).toMatch(/Applied: 1\nPending: 2/)
    await withPgbosun(tool, dir, database)
    expect(await withTool(tool, dir, database, ['status', '--exit-code'])).toMatch(/Applied: 3\nPending: 0/)
  })
})

withReal('sqlx', (tool) => {
  test('runs a file outside a transaction as we do', async ({ databases, dir }) => {
    const alone = (text: string) => `-- no-transaction\n${text}`
    const index = { up: alone(indexed.index.up), down: alone(indexed.index.down) }
    await write(tool, dir, [indexed.table, index])
    await expectSameOutside(tool, dir, (await databases(2)) as [Database, Database])
  })

  test('reads files that cannot be undone as we do', async ({ databases, dir }) => {
    const [its, ours] = (await databases(2)) as [Database, Database]
    await writeFiles(dir, {
      'migrations/20260101120000_users.sql': 'create table users (id int);\r\n',
      'migrations/20260102120000_more_of_it.sql': '-- ä\nalter table users add x int;',
      'migrations/README.md': '',
    })
    await withTool(tool, dir, its)
    await withPgbosun(tool, dir, ours)
    expect(await historyOf(tool, ours)).toEqual(await historyOf(tool, its))
    for (const database of [its, ours]) await expectDone(tool, dir, database)
  })

  test('finds an edited file like our `verify`, and accepts it after our `repair`', async ({ databases, dir }) => {
    const [its, ours] = (await databases(2)) as [Database, Database]
    await write(tool, dir, parts.slice(0, 2))
    await withTool(tool, dir, its)
    await withPgbosun(tool, dir, ours)
    for (const database of [its, ours]) expect(await verify(tool, dir, database)).toEqual([0, []])
    await edit(file(dir, '0002_a_part.up.sql'), (text) => `${text}-- edited\n`)
    for (const database of [its, ours]) {
      expect(await failing(tool, dir, database)).toMatch(/migration 2 was previously applied but has been modified/)
      expect(await verify(tool, dir, database)).toEqual([21, [`${tool.title(2)} edited`]])
      await pgbosun(tool, ['migrate', 'repair', '--yes'], dir, database)
      await expectDone(tool, dir, database)
    }
    expect(await historyOf(tool, ours)).toEqual(await historyOf(tool, its))
  })

  test('does not continue where a file outside a transaction stopped halfway, until we have', async ({
    databases,
    dir,
  }) => {
    const [database] = (await databases(1)) as [Database]
    const halfway = {
      up: `-- no-transaction\ncreate table u (x int);\ncreate index concurrently t_x on t (y);`,
      down: '',
    }
    await write(tool, dir, [indexed.table, halfway])
    expect((await pgbosun(tool, ['migrate'], dir, database)).code).toBe(20)
    expect(await failing(tool, dir, database)).toMatch(/migration 2 is partially applied/)
    await edit(file(dir, '0002_a_part.up.sql'), (text) => text.replace('(y)', '(x)'))
    expect(await withPgbosun(tool, dir, database)).toEqual([tool.title(2)])
    await expectDone(tool, dir, database)
  })

  test('says that a file is gone, as we do', async ({ databases, dir }) => {
    const [database] = (await databases(1)) as [Database]
    await write(tool, dir, parts.slice(0, 3))
    await withTool(tool, dir, database)
    for (const way of ['up', 'down']) await rm(file(dir, `0002_a_part.${way}.sql`))
    expect(await failing(tool, dir, database)).toMatch(/migration 2 was previously applied but is missing/)
    expect(await verify(tool, dir, database)).toEqual([21, ['2_a_part missing']])
  })
})

withReal('goose', (tool) => {
  test('runs a file outside a transaction as we do', async ({ databases, dir }) => {
    await write(tool, dir, [indexed.table, indexed.index])
    await edit(file(dir, '00002_part.sql'), (text) => `-- +goose NO TRANSACTION\n${text}`)
    await expectSameOutside(tool, dir, (await databases(2)) as [Database, Database])
  })

  test('refuses a lower version that is pending as we do, and applies it when told to', async ({ databases, dir }) => {
    const [its, ours] = (await databases(2)) as [Database, Database]
    await write(tool, dir, parts.slice(0, 3))
    await rm(file(dir, '00003_part.sql'))
    await writeFiles(dir, { 'migrations/00005_last.sql': '-- +goose Up\ncreate table last ();\n' })
    for (const database of [its, ours]) await withTool(tool, dir, database)
    await write(tool, dir, parts.slice(0, 3))
    await writeFiles(dir, { 'migrations/00005_last.sql': '-- +goose Up\ncreate table last ();\n' })
    for (const database of [its, ours]) {
      expect(await failing(tool, dir, database)).toMatch(/found 1 missing migrations before current version 5/)
      expect(await verify(tool, dir, database)).toEqual([21, ['00003_part out-of-order']])
    }
    await withTool(tool, dir, its, ['-allow-missing', 'up'].reverse())
    await withPgbosun(tool, dir, ours, { env: { PGBOSUN_MIGRATE_OUT_OF_ORDER: 'apply' } })
    expect(await historyOf(tool, ours)).toEqual(await historyOf(tool, its))
    expect(await schemaOf(ours)).toBe(await schemaOf(its))
  })

  test('substitutes environment variables as we do', async ({ databases, dir }) => {
    const [its, ours] = (await databases(2)) as [Database, Database]
    await writeFiles(dir, {
      'migrations/00001_env.sql':
        "-- +goose Up\n-- +goose ENVSUB ON\ncreate table t (x text default '${COMPAT_NONE:-by default} $PATH');\n-- +goose ENVSUB OFF\ncomment on table t is '${COMPAT_NONE}';\n",
    })
    await withTool(tool, dir, its)
    await withPgbosun(tool, dir, ours)
    expect(await schemaOf(ours)).toContain('by default /')
    expect(await schemaOf(ours)).toBe(await schemaOf(its))
  })
})

withReal('golang-migrate', (tool) => {
  const failed = [parts[0]!, { up: 'create table u ();\nselect 1/0;', down: '' }]
  const corrected = [parts[0]!, { up: 'create table u ();', down: 'drop table u;' }]

  test('leaves a dirty version, which we neither continue nor hide, until `repair` has said what is so', async ({
    databases,
    dir,
  }) => {
    const [pending, applied] = (await databases(2)) as [Database, Database]
    await write(tool, dir, failed)
    for (const database of [pending, applied]) {
      await failing(tool, dir, database)
      const { code, json } = await pgbosun(tool, ['migrate'], dir, database)
      expect([code, json.error?.message]).toEqual([
        21,
        expect.stringMatching(/^000002_part failed, or was interrupted/),
      ])
    }
    await write(tool, dir, corrected)
    const repair = (database: Database, flag: string) =>
      withPgbosun(tool, dir, database, { args: ['migrate', 'repair', flag, '000002_part', '--yes'] }).catch(() => {})
    await repair(pending, '--pending')
    await withTool(tool, dir, pending)
    await applied.sql`create table u ()`
    await repair(applied, '--applied')
    for (const database of [pending, applied]) await expectDone(tool, dir, database)
    expect(await historyOf(tool, applied)).toEqual([{ version: 2, dirty: false }])
    expect(await schemaOf(applied)).toBe(await schemaOf(pending))
  })

  test('its `force` is all that we need as well', async ({ databases, dir }) => {
    const [database] = (await databases(1)) as [Database]
    await write(tool, dir, failed)
    await failing(tool, dir, database)
    await withTool(tool, dir, database, ['force', '1'])
    await write(tool, dir, corrected)
    expect(await withPgbosun(tool, dir, database)).toEqual(['000002_part'])
    await expectDone(tool, dir, database)
  })

  test('does not continue where a file outside a transaction stopped halfway, until we have', async ({
    databases,
    dir,
  }) => {
    const [database] = (await databases(1)) as [Database]
    const halfway = { up: `create table u (x int);\ncreate index concurrently t_x on t (y);`, down: '' }
    await write(tool, dir, [indexed.table, halfway])
    expect((await pgbosun(tool, ['migrate'], dir, database)).code).toBe(20)
    expect(await failing(tool, dir, database)).toMatch(/Dirty database version 2/)
    await edit(file(dir, '000002_part.up.sql'), (text) => text.replace('(y)', '(x)'))
    expect(await withPgbosun(tool, dir, database)).toEqual(['000002_part'])
    await expectDone(tool, dir, database)
  })

  test('builds an index concurrently as we do', async ({ databases, dir }) => {
    await write(tool, dir, [indexed.table, indexed.index])
    await expectSameOutside(tool, dir, (await databases(2)) as [Database, Database])
  })
})

withReal('flyway', (tool) => {
  const script = (name: string) => join('migrations', name)
  /** With its default, a lock in a transaction, it waits for itself at an index, and forgets what failed outside a transaction. */
  const sessionLock = 'flyway.postgresql.transactional.lock=false'

  test('runs repeatable migrations when we do, and they are never run twice', async ({ databases, dir }) => {
    const [its, ours, turns] = (await databases(3)) as [Database, Database, Database]
    const view = (columns: string) => `create or replace view emails as select ${columns} from users;\n`
    await write(tool, dir, parts.slice(0, 1))
    await writeFiles(dir, { [script('R__all_emails.sql')]: view('email'), [script('R__b.sql')]: 'select 1;\n' })
    await withTool(tool, dir, its)
    expect(await withPgbosun(tool, dir, ours)).toEqual(['V1__a_part', 'R__all_emails', 'R__b'])
    await withTool(tool, dir, turns)
    for (const database of [its, ours, turns]) await expectDone(tool, dir, database)

    await writeFiles(dir, { [script('R__all_emails.sql')]: view('email, id') })
    await withTool(tool, dir, its)
    expect(await withPgbosun(tool, dir, ours)).toEqual(['R__all_emails'])
    expect(await withPgbosun(tool, dir, turns)).toEqual(['R__all_emails'])
    for (const database of [ours, turns]) {
      expect(await historyOf(tool, database)).toEqual(await historyOf(tool, its))
      expect(await schemaOf(database)).toBe(await schemaOf(its))
      await expectDone(tool, dir, database)
    }
  })

  test('its `validate` finds an edited file like our `verify`, and either one’s `repair` suits both', async ({
    databases,
    dir,
  }) => {
    const [its, ours] = (await databases(2)) as [Database, Database]
    await write(tool, dir, parts.slice(0, 2))
    await withTool(tool, dir, its)
    await withPgbosun(tool, dir, ours)
    for (const database of [its, ours]) {
      await withTool(tool, dir, database, ['validate'])
      expect(await verify(tool, dir, database)).toEqual([0, []])
    }
    await edit(file(dir, 'V2__a_part.sql'), (text) => text.replaceAll('\n', '\r\n'))
    for (const database of [its, ours]) await withTool(tool, dir, database, ['validate'])
    await edit(file(dir, 'V2__a_part.sql'), (text) => `${text}-- edited\n`)
    for (const database of [its, ours]) {
      expect(await failing(tool, dir, database, ['validate'])).toMatch(/checksum mismatch for migration version 2/)
      expect(await verify(tool, dir, database)).toEqual([21, ['V2__a_part edited']])
    }
    await withTool(tool, dir, its, ['repair'])
    await pgbosun(tool, ['migrate', 'repair', '--yes'], dir, ours)
    expect(await historyOf(tool, ours)).toEqual(await historyOf(tool, its))
    for (const database of [its, ours]) {
      await withTool(tool, dir, database, ['validate'])
      await expectDone(tool, dir, database)
    }
  })

  test('a file outside a transaction that fails halfway stops it after us, and us after it', async ({
    databases,
    dir,
  }) => {
    const [its, ours] = (await databases(2)) as [Database, Database]
    await write(tool, dir, [indexed.table, { up: 'create table u (x int);\nselect 1/0;', down: '' }])
    await writeFiles(dir, { [script('V2__a_part.sql.conf')]: 'executeInTransaction=false\n' })
    await failing(tool, dir, its, ['migrate', sessionLock])
    expect((await pgbosun(tool, ['migrate'], dir, ours)).code).toBe(20)
    expect(await historyOf(tool, ours)).toEqual(await historyOf(tool, its))

    const { code, json } = await pgbosun(tool, ['migrate'], dir, its)
    expect([code, json.error?.message]).toEqual([21, expect.stringContaining('V2__a_part')])
    expect(await failing(tool, dir, ours)).toMatch(/failed migration to version 2/)

    await edit(file(dir, 'V2__a_part.sql'), (text) => text.replace('select 1/0', 'select 1'))
    expect(await withPgbosun(tool, dir, ours)).toEqual(['V2__a_part'])
    await its.sql`drop table u`
    await withTool(tool, dir, its, ['repair'])
    expect(await withPgbosun(tool, dir, its)).toEqual(['V2__a_part'])
    expect(await historyOf(tool, ours)).toEqual(await historyOf(tool, its))
    expect(await schemaOf(ours)).toBe(await schemaOf(its))
    for (const database of [its, ours]) await expectDone(tool, dir, database)
  })

  test('builds an index concurrently as we do', async ({ databases, dir }) => {
    const [its, ours] = (await databases(2)) as [Database, Database]
    await write(tool, dir, [indexed.table, indexed.index])
    await withTool(tool, dir, its, ['migrate', sessionLock])
    await withPgbosun(tool, dir, ours)
    expect(await historyOf(tool, ours)).toEqual(await historyOf(tool, its))
    expect(await schemaOf(ours)).toBe(await schemaOf(its))
    for (const database of [its, ours]) await expectDone(tool, dir, database)
  })

  test('begins at a baseline like us: a mark, or a baseline migration', async ({ databases, dir }) => {
    const [its, ours, itsScript, ourScript] = (await databases(4)) as [Database, Database, Database, Database]
    await write(tool, dir, parts)
    for (const { sql } of [its, ours]) for (const { up } of parts.slice(0, 3)) await sql.unsafe(up)
    await withTool(tool, dir, its, ['baseline', 'flyway.baselineVersion=3'])
    await withPgbosun(tool, dir, ours, { args: ['migrate', 'baseline', '3'] })
    await withTool(tool, dir, ours)
    await withPgbosun(tool, dir, its)
    expect(await historyOf(tool, ours)).toEqual(await historyOf(tool, its))
    expect(await schemaOf(ours)).toBe(await schemaOf(its))

    await writeFiles(dir, {
      [script('B3__all.sql')]: parts
        .slice(0, 3)
        .map(({ up }) => up)
        .join('\n'),
    })
    await withTool(tool, dir, itsScript)
    expect((await withPgbosun(tool, dir, ourScript))[0]).toBe('B3__all')
    expect(await historyOf(tool, ourScript)).toEqual(await historyOf(tool, itsScript))
    for (const database of [its, ours, itsScript, ourScript]) await expectDone(tool, dir, database)
  })

  test('reads placeholders, folders, versions and descriptions as we do', async ({ databases, dir }) => {
    const [its, ours] = (await databases(2)) as [Database, Database]
    await writeFiles(dir, {
      [script('V1_01__the_first.sql')]: "create table a (x text default '${flyway:user}');\n",
      [script('one/two/V1.2__second__half.sql')]: "comment on table a is '${flyway:table} of ${flyway:environment}';",
      [script('V010__ä.SQL')]: 'create table b ();\n',
      [script('V2__.sql')]: 'create table c ();\n',
      [script('Readme.sql')]: 'ignored',
      [script('R__x.sql')]: 'select 1;',
    })
    await withTool(tool, dir, its)
    expect(await withPgbosun(tool, dir, ours)).toHaveLength(5)
    expect(await historyOf(tool, ours)).toEqual(await historyOf(tool, its))
    expect(await schemaOf(ours)).toBe(await schemaOf(its))
    for (const database of [its, ours]) await expectDone(tool, dir, database)
  })

  test('refuses a lower version that is pending as we do, and applies it when told to', async ({ databases, dir }) => {
    const [its, ours] = (await databases(2)) as [Database, Database]
    await write(tool, dir, parts.slice(0, 3))
    await rm(file(dir, 'V2__a_part.sql'))
    await writeFiles(dir, { [script('V3__a_part.sql')]: 'create table c ();\n' })
    for (const database of [its, ours]) await withTool(tool, dir, database)
    await writeFiles(dir, { [script('V2__a_part.sql')]: 'create table b ();\n' })
    for (const database of [its, ours]) {
      expect(await failing(tool, dir, database)).toMatch(/resolved migration not applied/i)
      expect(await verify(tool, dir, database)).toEqual([21, ['V2__a_part out-of-order']])
    }
    await withTool(tool, dir, its, ['migrate', 'flyway.outOfOrder=true'])
    await withPgbosun(tool, dir, ours, { env: { PGBOSUN_MIGRATE_OUT_OF_ORDER: 'apply' } })
    expect(await historyOf(tool, ours)).toEqual(await historyOf(tool, its))
    expect(await schemaOf(ours)).toBe(await schemaOf(its))
  })
})
