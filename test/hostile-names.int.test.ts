import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import fc from 'fast-check'
import { describe, expect } from 'vitest'
import { quoteIdent, quoteLiteral } from '../src/sql/quote.ts'
import { visible, visibleSql } from '../src/text.ts'
import { client } from './support/backup.ts'
import { type Finished, run } from './support/cli.ts'
import { open, test, uniqueName, urlOf, writeFiles } from './support/postgres.ts'
import { openOne } from './support/roles.ts'

/** What a name is made of to deceive whoever reads, copies or parses what we print. Together with a unique part, 63 bytes at most. */
const kinds = {
  'for a shell and a chat': '$(touch f)`touch f`\'"\\!<!channel>',
  'that do not show': '\nFORGED\r\u001b[2J\u009b\u0007\u202e\u200b\u2028FORGED',
}
const named = Object.entries(kinds)

/** Nothing of a name steers a terminal, hides, or begins a line; and no command was run. */
function expectHarmless({ stdout, stderr }: Pick<Finished, 'stdout' | 'stderr'>, dir: string): void {
  for (const text of [stdout, stderr]) {
    expect(text.replaceAll(/[\n\t]/g, '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u)
    for (const line of text.split('\n')) expect(line).not.toMatch(/^FORGED/)
  }
  expect(existsSync(join(dir, 'f'))).toBe(false)
}

type Options = { cwd: string; env: Record<string, string> }

/** For people and for programs; both must be harmless. @returns both, and the document */
async function both(args: string[], options: Options) {
  const text = await run([...args, '--log-format', 'pretty', '--log-level', 'debug'], options)
  const json = await run([...args, '--json', '--log-format', 'json'], options)
  for (const one of [text, json]) expectHarmless(one, options.cwd)
  for (const line of json.stderr.split('\n').filter((line) => line.startsWith('{'))) JSON.parse(line)
  const document = JSON.parse(json.stdout) as { error: { message: string; hint: string | null } | null }
  expect(json.code, `${text.stderr}${json.stderr}`).toBe(text.code)
  return { code: text.code, text, json: document, stderr: text.stderr }
}

/** The words of the commands in backquotes that begin with `pgbosun`, as a shell reads them. */
function commandsIn(hint: string, cwd: string): string[][] {
  return [...hint.matchAll(/`(pgbosun (?:'[^']*'|\\'|[^`'\\])*)`/g)].map(([, command = '']) => {
    const script = `pgbosun() { printf '%s\\0' "$@"; }\n${command}`
    return execFileSync('sh', ['-c', script], { cwd, encoding: 'utf8' }).split('\0').slice(0, -1)
  })
}

describe.each(named)('names %s', (_, part) => {
  const [schema, table, label] = ['s', 't', 'c'].map((one) => one + part) as [string, string, string]
  const name = `${quoteIdent(schema)}.${quoteIdent(table)}`

  test('of databases, roles and schemas are shown as what they are', async ({ dir }) => {
    const [database, role, user] = ['d', 'r', 'u'].map((one) => uniqueName(one) + part) as [string, string, string]
    const declared = {
      owner: role,
      users: { [user]: { preset: 'app', password: { env: 'PW' } } },
      schemas: { [schema]: null },
    }
    await writeFiles(dir, {
      'pgbosun.json': JSON.stringify({ databases: { [database]: declared } }),
      'migrations/1_t.sql': `create table ${name} (${quoteIdent(label)} int)`,
    })
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(database), PW: 'geheim' } }
    expect((await both(['roles', 'plan'], options)).text.stdout).toContain(`create role ${visible(role)}`)
    const up = await both(['up'], options)
    expect(up.code, up.stderr).toBe(0)
    expect(up.text.stdout).toContain(`create database ${visible(database)}`)
    const sql = openOne(database)
    await sql.unsafe(`alter schema ${quoteIdent(schema)} owner to postgres`)
    await sql.end()
    const plan = await both(['plan'], options)
    expect(plan.text.stdout).toContain(`schema ${visible(schema)} `)
    for (const args of [['check'], ['status', '--events'], ['config', 'show']]) await both(args, options)
  })

  test('of tables and columns are shown as what they are', async ({ dir, database, sql }) => {
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(database) } }
    await writeFiles(dir, {
      'migrations/1_t.sql': `create schema ${quoteIdent(schema)}; create table ${name} (${quoteIdent(label)} int)`,
    })
    expect((await run(['up'], options)).code).toBe(0)
    await sql.unsafe(
      `alter table ${name} add ${quoteIdent(`${label}2`)} text; comment on table ${name} is ${quoteLiteral(part)}`,
    )
    const shadow = await both(['migrate', 'verify', '--shadow'], options)
    expect(shadow.text.stdout).toContain(`different   table ${visible(name)}`)
    await writeFiles(dir, {
      'migrations/2_x.sql': `alter table ${name} alter ${quoteIdent(label)} set not null;\ncreate index ${quoteIdent(`i${label}`)} on ${name} (${quoteIdent(label)})`,
    })
    const lint = await both(['migrate', 'lint', '--explain'], options)
    expect(lint.text.stdout).toContain(`alter table ${visibleSql(name)} add constraint`)
    expectHarmless(await run(['migrate', 'lint', '--format', 'github'], options), dir)
  })

  test('in what the server says about a failed migration or seed stay in their line', async ({
    dir,
    database,
    sql,
  }) => {
    const table = `t${part}`
    const name = quoteIdent(table)
    await sql.unsafe(`create table ${name} (${quoteIdent(part)} text unique); insert into ${name} values (${quoteLiteral(part)});
      create type ${quoteIdent(`e${part}`)} as enum (${quoteLiteral(part)})`)
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(database) } }
    const fail = async (text: string) => {
      await writeFiles(dir, { 'migrations/1_t.sql': text })
      const failed = await both(['migrate'], options)
      expect(failed.code, failed.stderr).toBe(20)
      return failed
    }
    expect((await fail(`insert into ${name} values (${quoteLiteral(part)})`)).stderr).toContain('DETAIL: Key (')
    await fail(`select * from ${quoteIdent(`no${part}`)}`)
    await fail(`select ${quoteIdent(`no${part}`)} from ${name}`)
    await fail(
      `do $do$ begin raise exception ${quoteLiteral(part)} using detail = ${quoteLiteral(part)}, hint = ${quoteLiteral(part)}; end $do$`,
    )
    await fail(`select 1;\n--${part.replaceAll(/[\r\n]/g, '')}\nselect x from /* ${part} */ y /* ${part} */`)
    const { json } = await fail(`create type ${quoteIdent(`e${part}`)} as enum ('x')`)
    // what the hint says is what psql would run
    const [, statement] = /`(alter type (?:[^`"]|"(?:[^"]|"")*")*)`/.exec(json.error?.hint ?? '') ?? []
    if (!part.includes('"') && !/[\n\r]/.test(part)) {
      await sql.unsafe(`${statement} 'more'`)
      expect(await sql`select enumlabel as label from pg_enum order by enumsortorder`.values()).toEqual([
        [part],
        ['more'],
      ])
    }

    await writeFiles(dir, {
      'migrations/1_t.sql': 'select 1',
      'pgbosun.json': JSON.stringify({
        seeds: [{ file: `s/a${part.replaceAll('/', '')}.csv`, table: `public.${name}` }],
      }),
      [`s/a${part.replaceAll('/', '')}.csv`]: `"${part.replaceAll('"', '""')}"\n"${part.replaceAll('"', '""')}"\nx\nx\n`,
    })
    const seed = await both(['seed'], options)
    expect(seed.code, seed.stderr).toBe(40)
  })

  test('of the session that is in the way stay in their line', async ({ dir, database, sql }) => {
    const role = uniqueName('r') + part
    await sql.unsafe(`create table t (id int); create role ${quoteIdent(role)} login superuser password 'geheim'`)
    await writeFiles(dir, {
      'pgbosun.json': JSON.stringify({ migrate: { lockTimeout: '1s', lockRetries: 0 } }),
      'migrations/1_t.sql': 'alter table t add x int',
    })
    const other = openOne(database, { name: role, password: 'geheim' })
    const holding = other.begin(async (tx) => {
      await tx.unsafe(`select set_config('application_name', ${quoteLiteral(part)}, true)`)
      await tx.unsafe('lock table t')
      const failed = await both(['migrate'], { cwd: dir, env: { DATABASE_URL: urlOf(database) } })
      expect(failed.code, failed.stderr).toBe(11)
      expect(failed.stderr).toContain(`user ${visible(role)}`)
    })
    await holding
    await other.end()
  })

  test('of migrations come back from the commands in hints', async ({ dir, database, sql }) => {
    const stem = `1_${part.replaceAll('/', '')}`
    await sql`create table schema_migrations (version bigint not null primary key, dirty boolean not null)`
    await sql`insert into schema_migrations values (1, true)`
    await writeFiles(dir, {
      'pgbosun.json': JSON.stringify({ migrate: { format: 'golang-migrate' } }),
      [`migrations/${stem}.up.sql`]: 'create table t (id int)',
    })
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(database) } }
    const { code, json } = await both(['migrate'], options)
    expect(code).toBe(21)
    const words = commandsIn(json.error?.hint ?? '', dir)
    const shown = visible(stem)
    expect(words).toEqual(['--applied', '--pending'].map((flag) => ['migrate', 'repair', flag, shown]))
    for (const args of [
      ['migrate', 'verify'],
      ['migrate', 'status'],
    ])
      await both(args, options)
    if (shown === stem) expect((await both(words[0]!, options)).json).toMatchObject({ needs_yes: true })
    await both(['migrate', 'repair', '--forget', `${stem}no`], options)
    await both(['migrate', '--to', `${stem}no`], options)
  })

  test('of what was applied and is gone, and of who did it, are shown as what they are', async ({
    dir,
    database,
    sql,
  }) => {
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(database) } }
    await writeFiles(dir, { 'migrations/1_t.sql': 'select 1', 'migrations/2_t.sql': 'select 2' })
    expect((await run(['up'], options)).code).toBe(0)
    await sql`update pgbosun.migrations set name = ${`1_${part}`} where version = 1`
    await sql`update pgbosun.events set actor = ${part}, command = ${part}, detail = ${sql.json({ error: part, changes: [] })}`
    await writeFiles(dir, { 'migrations/2_t.sql': 'select 2', 'migrations/3_t.sql': 'select 3' })
    execFileSync('rm', [join(dir, 'migrations', '1_t.sql')])
    const { json } = await both(['migrate'], options)
    expect(commandsIn(json.error?.hint ?? '', dir)).toEqual([['migrate', 'repair', '--forget', visible(`1_${part}`)]])
    const status = await both(['status', '--events'], options)
    expect(status.text.stdout).toContain(`  ${visible(part)}  ${visible(part)} finished`)
    for (const args of [['migrate', 'status'], ['check']]) await both(args, options)
  })

  test('of programs and their words, and what they say', async ({ dir, database }) => {
    const command = ['sh', '-c', 'printf "%s\\n" "$1"; printf "%s\\n" "$1" >&2; exit 3', 'sh', part]
    await writeFiles(dir, { 'pgbosun.json': JSON.stringify({ migrate: { command } }) })
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(database), PATH: process.env.PATH! } }
    for (const args of [['plan'], ['migrate'], ['migrate', 'status']]) await both(args, options)
  })

  test('of keys, files and flags that are wrong', async ({ dir, database }) => {
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(database) } }
    const wrong = async (config: object) => {
      await writeFiles(dir, { 'pgbosun.json': JSON.stringify(config) })
      const { code } = await both(['plan'], options)
      expect(code).toBe(2)
    }
    await wrong({ [part]: 1, [`${part}2`]: 2 })
    await wrong({ databases: { [part]: { [part]: part } } })
    await wrong({ users: { [`u${part}`]: { password: { env: part } } } })
    await wrong({ users: { u: { memberOf: [part], password: { env: 'PW' } } } })
    await wrong({ migrate: { dir: part } })
    await wrong({ migrate: { command: [part] } })
    await writeFiles(dir, { 'pgbosun.json': '{}', [`migrations/${part.replaceAll('/', '')}.sql`]: '' })
    for (const args of [
      ['plan'],
      ['plan', '--database', part],
      [part],
      ['migrate', 'new', part],
      ['up', part],
      ['restore', part, '--into', part.repeat(9)],
    ])
      expect((await both(args, options)).code, args.join(' ')).toBe(2)
    expectHarmless(await run(['plan', `--${part}`], options), dir)
    expectHarmless(await run(['plan', '--log-level', part], options), dir)
    expectHarmless(await run(['plan'], { cwd: dir, env: { DATABASE_URL: `postgres://localhost/x%${part}` } }), dir)
  })
})

describe.skipIf(!client).each(named)('a database with a name %s', (_, part) => {
  test('is backed up, listed and restored', async ({ dir }) => {
    const [database, into, weak] = ['d', 'i', 'w'].map((one) => uniqueName(one) + part) as [string, string, string]
    const admin = open('postgres')
    await admin.unsafe(`create database ${quoteIdent(database)}`)
    await admin.unsafe(`create role ${quoteIdent(weak)} login password 'geheim'`)
    await writeFiles(dir, {
      'pgbosun.json': JSON.stringify({ backup: { store: pathToFileURL(join(dir, 'store')).href } }),
    })
    const env = { DATABASE_URL: urlOf(database), PATH: process.env.PATH! }
    const options = { cwd: dir, env }
    const sql = openOne(database)
    const table = `t${part}`
    await sql.unsafe(
      `create table ${quoteIdent(table)} (id int); alter table ${quoteIdent(table)} enable row level security`,
    )
    await sql.end()

    const made = await both(['backup', 'run'], options)
    expect(made.code, made.stderr).toBe(0)
    expect((await both(['backup', 'list'], options)).text.stdout).toContain(visible(database))
    for (const args of [['backup', 'verify'], ['backup', 'prune', '--dry-run'], ['status']])
      expect((await both(args, options)).code, args.join(' ')).toBe(0)

    const asWeak = { cwd: dir, env: { ...env, DATABASE_URL: urlOf(database, { name: weak, password: 'geheim' }) } }
    const unread = await both(['backup', 'run'], asWeak)
    expect(unread.code).toBe(60)
    const refused = await both(['restore', 'latest', '--into', into, '--yes'], asWeak)
    expect(refused.code, refused.stderr).toBe(12)
    const [statement = ''] = /^alter role .* createdb/.exec(refused.json.error?.hint ?? '') ?? []
    await admin.unsafe(statement)
    const [row] = await admin`select rolcreatedb from pg_roles where rolname = ${weak}`
    expect(row).toEqual({ rolcreatedb: true })

    const restored = await run(['restore', 'latest', '--into', into, '--yes', '--log-format', 'pretty'], options)
    expectHarmless(restored, dir)
    expect(restored.code, restored.stderr).toBe(0)
    expect((await both(['restore', 'latest', '--into', into, '--yes'], options)).json.error?.message).toContain(
      `the database ${visible(into)} already exists`,
    )
    await admin.end()
  })
})

test('SQL that is shown names to the server what it names to us', async ({ sql }) => {
  const pieces = [
    'a',
    '"',
    '\\',
    '\\0041',
    "'",
    '\n',
    '\u001b',
    '\u0085',
    '\u202e',
    'ñ',
    '😀',
    '\u{e0041}',
    '$x$',
    '--',
    '/*',
  ]
  const names = fc.sample(
    fc.array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 12 }).map((parts) => parts.join('')),
    100,
  )
  for (const name of names) {
    const shown = visibleSql(quoteIdent(name))
    expect(shown).not.toMatch(/[\p{Cc}\p{Cf}]/u)
    const { columns } = await sql.unsafe(`select 1 as ${shown}`)
    expect(columns[0]?.name).toBe(name)
  }
})
