import fc from 'fast-check'
import { expect } from 'vitest'
import { parse } from 'yaml'
import { test as withAdmin } from './support/admin.ts'
import { run, runJson } from './support/cli.ts'
import { open, server, test, uniqueName, urlOf, writeFiles } from './support/postgres.ts'
import { currentState, make } from './support/random-server.ts'

const runs = Number(process.env.BOSUN_TEST_RANDOM ?? 6)

type Sections = Record<'databases' | 'roles' | 'users', Record<string, Record<string, unknown>>>

type Change = { action: string; object: string; reason: string }

/** What a plan of the generated file would change, of what has one of the test's own names: others make and drop roles at the same time. */
async function generateAndPlan(dir: string, database: string, env: Record<string, string>, prefix: string) {
  const all = { DATABASE_URL: urlOf(database), ...env }
  const generated = await run(['roles', 'generate'], { cwd: dir, env: all })
  const { stdout: text, stderr } = generated
  expect([generated.code, stderr]).toEqual([0, expect.not.stringContaining('a plan of this file would')])
  await writeFiles(dir, { 'generated.yaml': text })
  const secrets = Object.fromEntries([...text.matchAll(/env: (\w+)/g)].map(([, name]) => [name!, 'geheim']))
  const { code, json } = await runJson(['roles', 'plan', '--config', 'generated.yaml'], {
    cwd: dir,
    env: { ...secrets, ...all },
  })
  const steps = (json.steps ?? []) as { changes: Change[] }[]
  const changes = steps
    .flatMap((step) => step.changes)
    .filter(({ object }) => object.includes(prefix) && !object.startsWith('password of role'))
  return { text, stderr, code, error: json.error, changes, config: parse(text) as Sections }
}

/** SQL of a superuser in a database. */
async function ask(database: string, ...statements: string[]): Promise<void> {
  const sql = open(database)
  for (const statement of statements) await sql.unsafe(statement)
  await sql.end({ timeout: 1 })
}

withAdmin(
  'of any server, the generated file plans nothing',
  { timeout: 60_000 + runs * 20_000 },
  async ({ admin, dir }) => {
    await fc.assert(
      fc.asyncProperty(currentState, fc.boolean(), async (current, attributes) => {
        const prefix = uniqueName('g')
        await make(
          admin,
          { ...current, database: current.database === 'none' ? 'superuser' : current.database },
          prefix,
        )
        const [one] = await admin.ask(`select rolname from pg_roles where rolname like '${prefix}%' order by 1 limit 1`)
        if (one && attributes)
          await ask(
            prefix,
            `alter role "${one.rolname}" createdb noinherit valid until '2031-01-01' connection limit 3`,
            `alter role "${one.rolname}" in database "${prefix}" set search_path = "$user", public`,
            `grant create on database "${prefix}" to "${one.rolname}" with grant option`,
            `create table c (a int, b int); grant select (a, b), update (b) on c to "${one.rolname}"`,
            `create function f(int) returns int language sql as 'select 1'; revoke execute on function f from public`,
            `alter default privileges for role "${one.rolname}" revoke execute on functions from public`,
          )
        expect(await generateAndPlan(dir, prefix, {}, prefix)).toMatchObject({ code: 0, error: null, changes: [] })
      }),
      { numRuns: runs, endOnFailure: true },
    )
  },
)

test('an old server is written with its owners, levels, memberships and settings, and without its secrets', async ({
  dir,
}) => {
  const name = uniqueName('old')
  const of = (role: string) => `${name}_${role}`
  await ask(
    'postgres',
    `create role ${of('owner')}; create role ${of('readers')}`,
    `create role ${of('app')} login password 'geheim' in role ${of('owner')}; alter role ${of('app')} set role = ${of('owner')}`,
    `create role "${of('a-b')}" login password 'geheim'; create role ${of('a_b')} login password 'geheim'`,
    `create role ${of('plain')} login in role ${of('readers')}`,
    `create role ${of('root')} superuser login`,
    `alter role ${of('plain')} set app.jwt_secret = 's3cr3t'; alter role ${of('plain')} set password_encryption = 'md5'`,
    `alter role ${of('plain')} set statement_timeout = '5s'`,
    `create database ${name} owner ${of('owner')}`,
    `alter database ${name} set app.token = 's3cr3t'`,
  )
  await ask(
    name,
    `create schema shop authorization ${of('owner')}; create schema roots authorization ${of('root')}`,
    `set role ${of('owner')}; create table shop.t (id serial); create table shop.u (id int);
     grant usage on schema shop to ${of('readers')};
     grant select on all tables in schema shop to ${of('readers')};
     grant select on all sequences in schema shop to ${of('readers')};
     alter default privileges in schema shop grant select on tables to ${of('readers')};
     alter default privileges in schema shop grant select on sequences to ${of('readers')};
     grant insert on shop.t to ${of('plain')}`,
  )
  const { text, stderr, config, changes, code } = await generateAndPlan(dir, name, {}, name)
  expect([code, changes]).toEqual([0, []])
  for (const hidden of ['s3cr3t', 'geheim', 'SCRAM', 'md5']) expect(text + stderr).not.toContain(hidden)
  expect(text).toContain('# left out: the setting app.jwt_secret, which may be a secret')
  expect(text).toContain('# left out: the setting password_encryption, which may be a secret')
  expect(text).toContain('# left out: the setting app.token, which may be a secret')
  const { databases, roles, users } = config
  expect(databases[name]).toMatchObject({
    owner: of('owner'),
    public: { connect: 'grant', temporary: 'grant' },
    schemas: {
      shop: {
        access: { [of('readers')]: 'read' },
        grants: [{ to: of('plain'), on: 'table', names: ['t'], privileges: ['INSERT'] }],
      },
      roots: { owner: of('root') },
    },
  })
  expect(roles[of('root')]).toEqual({ external: true })
  expect(users).toMatchObject({
    [of('app')]: { memberOf: [of('owner')], actsAs: of('owner'), password: { env: expect.any(String) } },
    [of('plain')]: { memberOf: [of('readers')], config: { statement_timeout: '5s' } },
  })
  expect(users[of('plain')]).not.toHaveProperty('password')
  const variables = Object.values(users).flatMap(({ password }) =>
    password ? [(password as { env: string }).env] : [],
  )
  expect(new Set(variables).size).toBe(variables.length)
})

test('hostile names come back as they were, and what a name makes impossible is told', async ({ dir, database }) => {
  const name = `${uniqueName('gen')} "x"${server().major < 19 ? '\n' : ' '}: é #`
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`
  const ends = ['yes', 'null', "'); drop $$; --", '*', '~', '#']
  const roles = ends.map((end) => `${name}${end}`)
  await ask('postgres', ...roles.map((role) => `create role ${quoted(role)} login`))
  await ask(
    database,
    `create schema ${quoted(name)}; create schema "no"; create table "no"."null" ("*" int, "a: b" int); create table "no"."*" (a int)`,
    ...roles.map((role) => `grant select ("*", "a: b"), insert on "no"."null" to ${quoted(role)}`),
    `grant select on "no"."*" to ${quoted(roles[0]!)}`,
    `create function "no"."f(integer)"("no"."null") returns int language sql as 'select 1'; revoke execute on all functions in schema "no" from public`,
  )
  await ask('postgres', `create database ${quoted(name)} template ${database}`)
  const { changes, code, text, config } = await generateAndPlan(dir, name, {}, name.slice(0, 20))
  expect([code, changes]).toEqual([0, []])
  expect(text).toContain('left out: the privileges on the table *, a name that means all in the file')
  const named = { ...config.users, ...config.roles }
  for (const role of roles) expect(named).toHaveProperty([role])
})

withAdmin('a login without rights gets the same file, without what it cannot see', async ({ admin, dir }) => {
  await ask('postgres', `create role "${admin.shop}_u" login password 'geheim'`, `create database "${admin.shop}"`)
  await ask(
    'postgres',
    `revoke select on pg_catalog.pg_authid from "${admin.name}"; alter role "${admin.name}" nocreaterole nocreatedb`,
  )
  const { code, stdout } = await run(['roles', 'generate'], { cwd: dir, env: { DATABASE_URL: admin.url(admin.shop) } })
  expect(code).toBe(0)
  expect(stdout).toMatch(new RegExp(`# whether it has a password could not be read\n  ${admin.shop}_u:`))
  const all = await run(['roles', 'generate'], { cwd: dir, env: { DATABASE_URL: urlOf(admin.shop) } })
  const databases = (text: string) => (parse(text) as { databases: unknown }).databases
  expect(databases(stdout)).toEqual(databases(all.stdout))
})

test('as JSON it is the text, the configuration and the warnings', async ({ dir, database }) => {
  await ask(database, `alter database ${database} set app.token = 'x'`)
  const { code, json } = await runJson(['roles', 'generate'], { cwd: dir, env: { DATABASE_URL: urlOf(database) } })
  expect([code, json.error]).toEqual([0, null])
  expect(parse(json.yaml as string)).toEqual(json.configuration)
  expect(json.warnings).toContain(`databases.${database}: left out: the setting app.token, which may be a secret`)
})
