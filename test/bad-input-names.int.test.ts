import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { execa } from 'execa'
import { describe, expect } from 'vitest'
import { run } from './support/cli.ts'
import { expectNoSecret } from './support/fails.ts'
import { open, server, test, uniqueName, urlOf, writeFiles } from './support/postgres.ts'
import { asUser } from './support/roles.ts'

/** psql of the server's own folder, else the one on the PATH: postgres.js does no SASLprep. */
const psql = join(server().binDir, 'psql')
const found = existsSync(psql)
  ? psql
  : (await execa('psql', ['--version'], { reject: false })).failed
    ? undefined
    : 'psql'
if (found === undefined) console.warn('SKIPPED, logging in with odd passwords: there is no psql')

/** Logs in over TCP with the password and returns who it is. */
async function logIn(user: string, password: string, database: string): Promise<string> {
  const env = {
    PGPASSWORD: password,
    PGHOST: '127.0.0.1',
    PGPORT: String(server().port),
    PGUSER: user,
    PGDATABASE: database,
  }
  return (await execa(found!, ['-XAtc', 'select session_user'], { env })).stdout
}

describe.skipIf(found === undefined)('a password', () => {
  const odd = {
    quotes: `geheim' "two" ''geheim`,
    backslashes: 'geheim\\n\\\\x\\',
    dollars: 'geheim $HOME $(id) $1 $$ $geheim$',
    percent: 'geheim%41 100% %s {0}',
    blanks: '  geheim\t ',
    unicode: 'geheim é ½ ﬁ Ⅸ 密码 😀',
    colon: 'geheim:@/?#[]&=',
  }

  test('may hold anything: its user logs in, and the next run finds nothing to do', async ({ dir, database, sql }) => {
    const names = Object.keys(odd).map((name) => [`${database}_${name}`, `PW_${name.toUpperCase()}`])
    const users = names.map(([user, variable]) => `${user}: { password: { env: ${variable} } }`)
    const inFile = `${database}_file: { password: { file: pw } }`
    await writeFiles(dir, {
      'pgbosun.yaml': `users: { ${[...users, inFile].join(', ')} }`,
      pw: 'geheim with a line end\n',
    })
    const passwords = Object.fromEntries(
      Object.entries(odd).map(([name, value]) => [`PW_${name.toUpperCase()}`, value]),
    )
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(database), ...passwords } }

    const first = await run(['up', '--log-level', 'debug'], options)
    expectNoSecret(first)
    expect(first.code, first.stderr).toBe(0)
    for (const [name, value] of [...Object.entries(odd), ['file', 'geheim with a line end']])
      expect(await logIn(`${database}_${name}`, value!, database)).toBe(`${database}_${name}`)

    const second = await run(['plan', '--exit-code'], options)
    expect(second.code, second.stdout).toBe(0)
    const stored = await sql`select rolpassword from pg_authid where starts_with(rolname, ${`${database}_`})`
    for (const { rolpassword } of stored) expect(rolpassword).toMatch(/^SCRAM-SHA-256\$/)
  })

  test('is replaced when its file changes, and only then', async ({ dir, database, sql }) => {
    await writeFiles(dir, { 'pgbosun.yaml': `users: { ${database}_u: { password: { file: pw } } }`, pw: 'geheim one' })
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(database) } }
    const stored = () =>
      sql`select rolpassword from pg_authid where rolname = ${`${database}_u`}`.then(([row]) => row?.rolpassword)
    await run(['up'], options)
    const before = await stored()
    await writeFiles(dir, { pw: 'geheim one\r\n' })
    await run(['up'], options)
    expect(await stored()).toBe(before)

    await writeFiles(dir, { pw: 'geheim two\n' })
    const { stdout } = await run(['up'], options)
    expect(stdout).toContain(`set password of role ${database}_u`)
    expect(await logIn(`${database}_u`, 'geheim two', database)).toBe(`${database}_u`)
  })
})

describe('a name', () => {
  test('of a role, a database or a schema may hold quotes, blanks and any letters', async ({ dir }) => {
    const part = uniqueName('n')
    const database = `${part} "my" 'db' ünï \\ $1 %`
    const [app, reader, schema] = [`${part} app's "ñ" 密`, `${part} Reader; --`, 'Schema "ö" $$']
    const password = { env: 'APP_PASSWORD' }
    const users = { [app]: { preset: 'app', password }, [reader]: { preset: 'readonly', password } }
    await writeFiles(dir, {
      'pgbosun.json': JSON.stringify({ databases: { [database]: { users, schemas: { [schema]: null } } } }),
      'migrations/001_t.sql': `create table "Schema ""ö"" $$".t (id int); insert into "Schema ""ö"" $$".t values (1)`,
    })
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(database), APP_PASSWORD: 'geheim' } }
    const first = await run(['up', '--log-level', 'error'], options)
    expect(first.stderr).toBe('')
    expect(first.stdout).toContain(`create database ${database}`)
    expect(first.code).toBe(0)
    expect((await run(['up'], options)).stdout).toMatch(/ready, nothing to do/)
    expect((await run(['plan', '--exit-code'], options)).code).toBe(0)
    expect((await run(['check'], options)).code).toBe(0)

    const table = `"Schema ""ö"" $$".t`
    const asApp = { name: app, password: 'geheim' }
    const asReader = { name: reader, password: 'geheim' }
    expect(await asUser(database, asApp, `insert into ${table} values (2); select session_user as who`)).toEqual([
      [],
      [{ who: app }],
    ])
    expect(await asUser(database, asReader, `select id from ${table} order by id`)).toEqual([{ id: 1 }, { id: 2 }])
    expect(await asUser(database, asReader, `delete from ${table}`)).toMatch(/^(25006|42501)$/)
  })

  test('a name of 63 bytes is not cut', async ({ dir }) => {
    const part = uniqueName('long')
    const name = part.padEnd(63, 'x')
    await writeFiles(dir, { 'pgbosun.yaml': `databases: { ${name}: { owner: ${part.padEnd(63, 'o')} } }` })
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(name) } }
    expect((await run(['up'], options)).code).toBe(0)
    expect((await run(['plan', '--exit-code'], options)).code).toBe(0)
    const admin = open('postgres')
    const [row] = await admin`select pg_get_userbyid(datdba) as owner from pg_database where datname = ${name}`
    expect(row?.owner).toBe(part.padEnd(63, 'o'))
    await admin.end()
  })
})
