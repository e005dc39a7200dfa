import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect } from 'vitest'
import { runJson } from './support/cli.ts'
import { test as base, open, server, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

type Home = {
  user: string
  names: [string, string]
  env: Record<string, string>
  up(more?: Record<string, string>): ReturnType<typeof runJson>
  /** As the user, with the password of the variables. */
  ask(database: string, statement: string): Promise<Record<string, unknown>[]>
  admin(database: string, statement: string): Promise<Record<string, unknown>[]>
}

/** Not in the log of the server unless we put it there, whatever else is tested on it. */
const word = uniqueName('geheim')
const password = `it's ${word} "$$"; alter role x superuser; -- \\`

/** The variables that postgres-init reads, for a user and two databases that do not exist. */
const test = base.extend<{ home: Home }>({
  home: async ({ dir }, use) => {
    const user = uniqueName("home's user")
    const names: Home['names'] = [uniqueName('home'), uniqueName('home_log')]
    const env = {
      INIT_POSTGRES_HOST: '127.0.0.1',
      INIT_POSTGRES_PORT: String(server().port),
      INIT_POSTGRES_SUPER_PASS: server().password,
      INIT_POSTGRES_USER: user,
      INIT_POSTGRES_PASS: password,
      INIT_POSTGRES_DBNAME: ` ${names[0]}  ${names[1]} `,
    }
    const ask = async (database: string, statement: string, as?: { name: string; password: string }) => {
      const sql = open(database, as)
      try {
        return await sql.unsafe(statement)
      } finally {
        await sql.end()
      }
    }
    await use({
      ...{ user, names, env },
      up: (more = {}) => runJson(['up'], { cwd: dir, env: { ...env, ...more } }),
      ask: (database, statement) => ask(database, statement, { name: user, password }),
      admin: ask,
    })
  },
})

const changesOf = ({ json }: Awaited<ReturnType<Home['up']>>) =>
  (json.steps as { changes: { action: string; object: string }[] }[]).flatMap(({ changes }) => changes)

describe('the variables of postgres-init alone', () => {
  test('make the user and its databases, and every later start finds nothing to do', async ({ home }) => {
    const first = await home.up()
    expect([first.code, first.json.error, first.json.warnings]).toEqual([0, null, []])
    for (const name of home.names) {
      expect(await home.ask(name, 'create table mine (id int); create schema more; select 1 as one')).toBeDefined()
      expect(
        await home.admin(
          name,
          'select pg_get_userbyid(datdba) as owner from pg_database where datname = current_database()',
        ),
      ).toEqual([{ owner: home.user }])
    }
    expect(changesOf(await home.up())).toEqual([])
    expect(
      await home.admin('postgres', `select rolsuper from pg_roles where rolname = '${home.user.replace("'", "''")}'`),
    ).toEqual([{ rolsuper: false }])
  })

  test('put no password into a log, a plan or the log of the server', async ({ home, dir }) => {
    const { stdout, stderr } = await home.up()
    const shown = await runJson(['config', 'show'], { cwd: dir, env: home.env })
    const log = await readFile(server().logFile, 'utf8')
    for (const text of [stdout, stderr, shown.stdout, log]) {
      expect(text).not.toContain(word)
      expect(text).not.toContain(server().password)
    }
    expect(shown.json).toMatchObject({
      connection: { source: 'INIT_POSTGRES_HOST', database: home.names[0], user: 'postgres' },
      origins: {
        [`databases.${home.names[0]}.create.owner`]: 'INIT_POSTGRES_USER',
        'manage.privileges': 'INIT_POSTGRES_DBNAME',
      },
    })
  })

  test('may all be in files, and a changed password is set', async ({ home, dir }) => {
    const files = Object.fromEntries(
      Object.entries(home.env).map(([name, value]) => [`${name}_FILE`, [name, `${value}\n`] as const]),
    )
    await writeFiles(dir, Object.fromEntries(Object.values(files)))
    const env = Object.fromEntries(Object.entries(files).map(([name, [file]]) => [name, file]))
    const up = () => runJson(['up'], { cwd: dir, env })
    expect(await up()).toMatchObject({ code: 0, json: { error: null } })
    expect(await home.ask(home.names[0], 'select 1 as one')).toEqual([{ one: 1 }])
    await writeFiles(dir, { INIT_POSTGRES_PASS: 'other\n' })
    expect(changesOf(await up()).map(({ action, object }) => `${action} ${object}`)).toEqual([
      `set password of role ${home.user}`,
    ])
  })

  test('let a second user work in an existing database, which keeps its owner', async ({ home }) => {
    const [name] = home.names
    const owner = uniqueName('first')
    await home.admin('postgres', `create role "${owner}"`)
    await home.admin('postgres', `create database "${name}" owner "${owner}"`)
    await home.admin(
      name,
      `create table theirs (id int); alter table theirs owner to "${owner}"; create role "${home.user}" login; grant select on theirs to "${home.user}"`,
    )
    expect(await home.up()).toMatchObject({ code: 0, json: { error: null } })
    await home.ask(name, 'create table mine (id int); create schema mine; select * from theirs')
    expect(await home.admin(name, `select tableowner from pg_tables where tablename = 'theirs'`)).toEqual([
      { tableowner: owner },
    ])
    expect(changesOf(await home.up())).toEqual([])
  })

  test('find little to do after the script itself, and take nothing away', async ({ home }) => {
    const [name] = home.names
    const run = (program: string, ...args: string[]) =>
      promisify(execFile)(join(server().binDir, program), args, {
        env: { PGHOST: '127.0.0.1', PGPORT: String(server().port), PGUSER: 'postgres', PGPASSWORD: server().password },
      })
    // what that script runs for a new user and a new database
    await run('createuser', home.user)
    await run(
      'psql',
      '-c',
      `alter user "${home.user}" with encrypted password '${password.replaceAll("'", "''")}'`,
      'postgres',
    )
    await run('createdb', '--owner', home.user, name)
    await run('psql', '-c', `grant all privileges on database "${name}" to "${home.user}"`, 'postgres')
    await home.ask(name, 'select 1 as one')
    const acl = () =>
      home.admin(name, 'select datacl::text[] as acl from pg_database where datname = current_database()')
    const before = await acl()
    const up = await home.up({ INIT_POSTGRES_DBNAME: name })
    expect([up.code, changesOf(up).map(({ action, object }) => `${action} ${object}`)]).toEqual([
      0,
      [`grant CREATE, USAGE on schema public to ${home.user} (database ${name})`],
    ])
    expect(await acl()).toEqual(before)
  })

  test('that are missing, wrong or not supported are all said at once, and nothing is done', async ({ home }) => {
    const refused = async (more: Record<string, string>) => {
      const { code, json } = await home.up(more)
      expect(code).toBe(2)
      return String(json.error?.message)
    }
    const message = await refused({
      INIT_POSTGRES_PASS: '',
      INIT_POSTGRES_DBNAME: ' ',
      INIT_POSTGRES_USER_FLAGS: '--superuser -c 5',
    })
    expect(message).toMatch(/INIT_POSTGRES_PASS: is not set; set it, or INIT_POSTGRES_PASS_FILE/)
    expect(message).toMatch(/INIT_POSTGRES_DBNAME: is not set/)
    expect(message).toMatch(/INIT_POSTGRES_USER_FLAGS: --superuser -c 5 is not supported.*by hand/)
    expect(await refused({ INIT_POSTGRES_HOST: 'postgres://u:topsecret@h/d' })).not.toContain('topsecret')
    expect(await refused({ INIT_POSTGRES_DBNAME: 'x'.repeat(64) })).toMatch(/63/)
    expect(await refused({ INIT_POSTGRES_USER: 'pg_home' })).toMatch(/reserved/)
    expect(
      await home.admin(
        'postgres',
        `select 1 from pg_roles where rolname in ('pg_home', '${home.user.replace("'", "''")}')`,
      ),
    ).toEqual([])
  })

  test('count only where no other connection is set, and never beside declared databases', async ({
    home,
    dir,
    database,
  }) => {
    const beside = await home.up({ DATABASE_URL: urlOf(database) })
    expect([beside.code, beside.json.warnings]).toEqual([
      0,
      [expect.stringMatching(/^INIT_POSTGRES_HOST, .* are ignored, because DATABASE_URL is set$/)],
    ])
    await writeFiles(dir, { 'pgbosun.yaml': 'databases: { other: {} }' })
    const { code, json } = await home.up()
    expect([code, json.error?.message]).toEqual([
      2,
      expect.stringMatching(/databases.*is set together with INIT_POSTGRES_DBNAME/),
    ])
  })

  test('with a connection limit among the flags, which is set', async ({ home }) => {
    const up = await home.up({ INIT_POSTGRES_USER_FLAGS: '--connection-limit=7 --no-createdb' })
    expect([up.code, changesOf(up).map(({ object, action }) => `${action} ${object}`)]).toEqual([
      0,
      expect.arrayContaining([`alter role ${home.user}`]),
    ])
  })
})
