import { execFile } from 'node:child_process'
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect } from 'vitest'
import { client } from './support/backup.ts'
import { run, runJson } from './support/cli.ts'
import { test as base, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

type Fixtures = {
  /** A login with a password, which owns the database. */
  user: string
  /** Writes a password file for it, mode 0600. */
  passfile(text: string): Promise<string>
}

const secret = 'geheim:mit\\allem'
const written = 'geheim\\:mit\\\\allem'

const test = base.extend<Fixtures>({
  user: async ({ sql, database }, use) => {
    const user = uniqueName('pass')
    await sql.unsafe(`create role ${user} login password '${secret}'; alter database ${database} owner to ${user};
      alter schema public owner to ${user}`)
    await use(user)
  },
  passfile: async ({ dir }, use) =>
    use(async (text) => {
      const path = join(dir, 'pass')
      await writeFiles(dir, { pass: text })
      await chmod(path, 0o600)
      return path
    }),
})

const withoutPassword = (database: string, user: string, query = '') => {
  const { host } = new URL(urlOf(database))
  return `postgres://${user}@${host}/${database}${query}`
}

const variables = (database: string, user: string) => {
  const { hostname, port } = new URL(urlOf(database))
  return { PGHOST: hostname, PGPORT: port, PGUSER: user, PGDATABASE: database }
}

describe('a password file', () => {
  test('named by the URL or by PGPASSFILE gives the password to us and to pg_dump', async ({
    dir,
    database,
    user,
    passfile,
    sql,
  }) => {
    const path = await passfile(`# ours\n*:*:${database}:${user}:${written}\n`)
    await sql.unsafe(`set role ${user}; create table t as select 1 as id; reset role`)
    await writeFiles(dir, { 'pgbosun.yaml': JSON.stringify({ backup: { store: `file://${dir}/store` } }) })
    for (const env of [
      { DATABASE_URL: withoutPassword(database, user, `?passfile=${path}`) },
      { ...variables(database, user), PGPASSFILE: path },
    ]) {
      expect(await run(['wait'], { cwd: dir, env })).toMatchObject({ code: 0, stderr: '' })
      if (!client) continue
      const made = await runJson(['backup', 'run'], { cwd: dir, env })
      expect(made, made.stderr).toMatchObject({ code: 0, json: { warnings: [] } })
      expect(`${made.stdout}${made.stderr}`).not.toContain('geheim')
    }
  })

  test('that libpq would ignore for its mode is used, for pg_dump too, with one warning', async ({
    dir,
    database,
    user,
    passfile,
  }) => {
    const path = await passfile(`*:*:*:*:${written}`)
    await chmod(path, 0o440)
    const env = { DATABASE_URL: withoutPassword(database, user, `?passfile=${path}`) }
    await writeFiles(dir, { 'pgbosun.yaml': JSON.stringify({ backup: { store: `file://${dir}/store` } }) })
    for (const args of [['wait'], ...(client ? [['backup', 'run']] : [])])
      expect(await runJson(args, { cwd: dir, env })).toMatchObject({
        code: 0,
        json: { warnings: [`${path} can be read by users other than its owner: libpq ignores such a password file`] },
      })
  })

  test('without a line that fits is said, and the server refuses', async ({ dir, database, user, passfile }) => {
    const path = await passfile('*:*:*:somebody:geheim')
    const env = { DATABASE_URL: withoutPassword(database, user, `?passfile=${path}`) }
    const { code, json, stdout, stderr } = await runJson(['wait'], { cwd: dir, env })
    expect({ code, json }).toMatchObject({
      code: 12,
      json: { warnings: [expect.stringContaining(`no line of the password file ${path} is for ${user}`)] },
    })
    expect(`${stdout}${stderr}`).not.toContain('geheim')
  })

  test('that is not there is exit 2; ~/.pgpass is not looked at', async ({ dir, database, user, passfile }) => {
    const missing = { DATABASE_URL: withoutPassword(database, user, '?passfile=/nowhere/pass') }
    expect(await runJson(['wait'], { cwd: dir, env: missing })).toMatchObject({
      code: 2,
      json: { error: { message: 'the password file /nowhere/pass does not exist' } },
    })
    await passfile('')
    await writeFiles(dir, { '.pgpass': `*:*:*:*:${written}` })
    await chmod(join(dir, '.pgpass'), 0o600)
    const env = { DATABASE_URL: withoutPassword(database, user), HOME: dir }
    expect(await runJson(['wait'], { cwd: dir, env })).toMatchObject({ code: 12 })
  })

  test.skipIf(!client)('lets in whom libpq lets in, and nobody else', async ({ dir, database, user, passfile }) => {
    const { PGHOST, PGPORT } = variables(database, user)
    const place = `${PGHOST}:${PGPORT}`
    const texts: [string, boolean][] = [
      [`${place}:${database}:${user}:${written}`, true],
      [`\\${place}:${database}:${user}:${written}`, true],
      [`${place}:${database}:${user}:${written}\r\n`, true],
      [`${place}:${database}:${user}:${written}:and more`, true],
      [`${place}:${database}:${user}:wrong\n*:*:*:*:${written}`, false],
      [`#*:*:*:*:wrong\n*:*:*:*:${written}`, true],
      [` *:*:*:*:${written}`, false],
      [`*:*:*:*:${written} `, false],
      [`localhost:*:*:*:${written}`, false],
      [`\\*:*:*:*:${written}`, false],
      [`*:*:*:${user.toUpperCase()}:${written}`, false],
      [`*:*:*:*:${secret}`, false],
      [`*:*:*:*:\n*:*:*:*:${written}`, false],
    ]
    for (const [text, enters] of texts) {
      const env = { ...variables(database, user), PGPASSFILE: await passfile(text) }
      const psql = promisify(execFile)(join(client!.dir, 'psql'), ['-w', '-c', 'select'], { env })
      const theirs = await psql.then(
        () => true,
        () => false,
      )
      const { code } = await run(['wait'], { cwd: dir, env })
      expect([text, theirs, code]).toEqual([text, enters, enters ? 0 : 12])
    }
  })
})
