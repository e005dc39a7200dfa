import { describe, expect } from 'vitest'
import { test } from './support/admin.ts'
import { server } from './support/postgres.ts'

const migration = { 'migrations/1_t.sql': 'create table t (id int primary key, note text)' }
const { major } = server()

describe('a login with CREATEROLE and CREATEDB', () => {
  test.skipIf(major < 15)(
    'brings a server from empty to ready, and is left as the owner of nothing else',
    async ({ admin }) => {
      const { shop } = admin
      await admin.declare(
        {
          databases: {
            [shop]: {
              connectionLimit: 50,
              config: { work_mem: '8MB' },
              extensions: { pg_trgm: {} },
              schemas: { public: {}, billing: { owner: `${shop}_billing` } },
              users: {
                [`${shop}_app`]: { preset: 'app', password: { env: 'SECRET' } },
                [`${shop}_ro`]: { preset: 'readonly' },
              },
            },
          },
          roles: { [`${shop}_billing`]: {} },
        },
        migration,
      )
      const planned = await admin.changes('plan')
      const made = await admin.changes('up')
      expect(made).toEqual(expect.arrayContaining(planned.filter((change) => !/^plan /.test(change))))
      expect(await admin.changes('up')).toEqual([])
      expect(await admin.actsAs()).toEqual([`${shop}_owner`])
      expect(await admin.ask(`select tableowner from pg_tables where tablename = 't'`, shop)).toEqual([
        { tableowner: `${shop}_owner` },
      ])
    },
  )

  test('says all that an administrator must do before anything is changed, and goes on after the script', async ({
    admin,
  }) => {
    const { shop, name } = admin
    await admin.declare(
      {
        databases: {
          [shop]: {
            config: { log_statement: 'ddl' },
            extensions: { pg_stat_statements: {} },
            users: { [`${shop}_app`]: { preset: 'app', password: { env: 'SECRET' } } },
          },
          [`${shop}_two`]: {},
        },
        users: {
          [`${shop}_backup`]: { preset: 'backup', password: { env: 'SECRET' } },
          [`${shop}_metrics`]: { preset: 'monitor', password: { env: 'SECRET' } },
        },
      },
      migration,
    )
    const refused = await admin.pgbosun('up')
    expect(refused.json.error).toMatchObject({
      kind: 'refused',
      message: expect.stringContaining('pg_stat_statements'),
    })
    const statements = (refused.json.for_admin as { sql: string }[]).map(({ sql }) => sql)
    expect(statements).toEqual(
      expect.arrayContaining([
        expect.stringContaining(major < 19 ? 'lo_compat_privileges' : 'pg_read_all_data'),
        expect.stringContaining('log_statement'),
        expect.stringMatching(/grant CONNECT on database "postgres"/),
      ]),
    )
    expect(await admin.ask(`select rolname from pg_roles where rolname like '${shop}%'`)).toEqual([])
    expect((await admin.pgbosun('plan')).json.warnings).toEqual(
      expect.arrayContaining([expect.stringMatching(/roles plan --for-admin/)]),
    )

    const script = await admin.runScript()
    expect(script).toMatch(/^-- .*\n-- .*\n\\set ON_ERROR_STOP on\n/)
    expect(script).not.toMatch(/SCRAM-SHA-256|geheim|password '/)
    expect(await admin.changes('up')).toEqual(expect.arrayContaining([`set password of role ${shop}_backup: has none`]))
    expect(await admin.changes('up')).toEqual([])
    expect(await admin.runScript()).toBe(
      `-- ${name} can make all changes that are pending: an administrator has nothing to do.\n`,
    )
    expect(await admin.actsAs()).toEqual([`${shop}_owner`, `${shop}_two_owner`].filter((role) => major < 15 || role))
  })

  test('hands over what a role of its own owns, and grants what belongs to another, without staying a member', async ({
    admin,
  }) => {
    const { shop } = admin
    const [legacy, keeper] = [`${shop}_legacy`, `${shop}_keeper`]
    const schemas = { public: {}, kept: { owner: keeper } }
    const configuration = {
      databases: { [shop]: { owner: `${shop}_owner`, schemas } },
      roles: { [keeper]: {}, [legacy]: {} },
      users: { [`${shop}_ro`]: {} },
    }
    await admin.declare(configuration)
    if (major < 15) await admin.runScript()
    await admin.changes('up')
    await admin.ask(`grant create on schema public to "${legacy}"`, shop)
    await admin.ask(
      `set role "${legacy}"; create table a (id serial); create function f() returns int language sql as 'select 1';
       set role "${keeper}"; create table kept.k (id int)`,
      shop,
    )
    const access = { [`${shop}_ro`]: 'read' }
    const database = {
      owner: `${shop}_owner`,
      reassign: [legacy],
      schemas: { public: {}, kept: { owner: keeper, access } },
    }
    await admin.declare({ ...configuration, databases: { [shop]: database } })
    const planned = await admin.changes('plan')
    expect(await admin.changes('up')).toEqual(planned.filter((change) => !/^plan /.test(change)))
    expect(planned.map((change) => change.replace(/ \(database.*?\)/, ''))).toEqual(
      expect.arrayContaining([
        `grant role ${legacy} to me: pgbosun acts as it, for a moment`,
        `revoke role ${legacy} from me: was only for the moment`,
        `grant role ${keeper} to me: pgbosun acts as it, for a moment`,
        `revoke role ${keeper} from me: was only for the moment`,
      ]),
    )
    expect(await admin.changes('up')).toEqual([])
    expect(
      await admin.ask(`select tableowner from pg_tables where tablename in ('a', 'k') order by tablename`, shop),
    ).toEqual([{ tableowner: `${shop}_owner` }, { tableowner: keeper }])
    expect(await admin.actsAs()).toEqual([`${shop}_owner`])
  })

  test('lets an administrator hand over what belongs to a superuser', async ({ admin }) => {
    const { shop, name } = admin
    await admin.ask(`create database "${shop}" owner "${name}"`)
    await admin.ask(
      `create schema legacy; create table legacy.t (id serial); create function public.f(a int) returns int language sql as 'select 1'`,
      shop,
    )
    await admin.declare({ databases: { [shop]: { owner: name, reassign: ['postgres'], schemas: { legacy: {} } } } })
    const refused = await admin.pgbosun('up')
    expect([refused.code, refused.stderr]).toEqual([12, expect.stringContaining('alter table legacy.t owner to')])
    await admin.runScript()
    expect(await admin.changes('up')).toEqual([])
    expect(
      await admin.ask(
        `select pg_get_userbyid(nspowner) as a, (select tableowner from pg_tables where tablename = 't') as b,
                (select pg_get_userbyid(proowner) from pg_proc where proname = 'f') as c from pg_namespace where nspname = 'legacy'`,
        shop,
      ),
    ).toEqual([{ a: name, b: name, c: name }])
  })

  test('adopts roles that a superuser made', async ({ admin }) => {
    const { shop } = admin
    await admin.ask(`create role "${shop}_app" login; create role "${shop}_owner"; create role "${shop}_group"`)
    await admin.ask(`create database "${shop}" owner "${shop}_owner" template template0`)
    await admin.ask(`create table theirs (id int)`, shop)
    await admin.declare(
      {
        databases: {
          [shop]: {
            owner: `${shop}_owner`,
            users: { [`${shop}_app`]: { preset: 'app', password: { env: 'SECRET' } } },
            schemas: {
              public: { grants: [{ on: 'table', names: ['theirs'], to: `${shop}_owner`, privileges: ['ALL'] }] },
            },
          },
        },
        users: { [`${shop}_app`]: { memberOf: [`${shop}_group`], connectionLimit: 10 } },
        roles: { [`${shop}_group`]: {} },
      },
      migration,
    )
    const refused = await admin.pgbosun('up')
    expect(refused.json.error).toMatchObject({ kind: 'refused' })
    expect(refused.stderr).toContain('"theirs"')
    await admin.runScript()
    expect(await admin.changes('up')).toEqual(expect.arrayContaining([`set password of role ${shop}_app: has none`]))
    expect(await admin.changes('up')).toEqual([])
  })

  test('leaves to an administrator what only the grantor of a privilege can revoke', async ({ admin }) => {
    const { shop, name } = admin
    const ro = `${shop}_ro`
    const configuration = {
      databases: { [shop]: { owner: name, schemas: { app: {} } } },
      users: { [ro]: {}, [`${shop}_x`]: {} },
    }
    await admin.declare(configuration)
    if (major < 15) await admin.runScript()
    await admin.changes('up')
    await admin.ask(
      `set role "${name}"; create table app.t (id int); reset role; create role "${shop}_stranger"; grant usage on schema app to "${shop}_stranger";
       grant select on app.t to "${shop}_stranger" with grant option; set role "${shop}_stranger"; grant select on app.t to "${ro}"`,
      shop,
    )
    const refused = await admin.pgbosun('up')
    if (major >= 16) {
      expect(refused.json.error).toMatchObject({
        kind: 'refused',
        message: expect.stringContaining(`it cannot act as ${shop}_stranger`),
      })
      await admin.runScript()
    } else expect(refused.code).toBe(0)
    expect(await admin.changes('up')).toEqual([])
    expect(await admin.ask(`select has_table_privilege('${ro}', 'app.t', 'select') as may`, shop)).toEqual([
      { may: false },
    ])
    expect(await admin.actsAs()).toEqual([])
  })

  test('is told that it may not remove a role, by a plan and before anything is changed', async ({ admin }) => {
    const { shop, name } = admin
    await admin.ask(`create role "${shop}_old" login`)
    await admin.ask(`create database "${shop}" owner "${name}"`)
    const declared = (more: object) =>
      admin.declare({
        databases: { [shop]: { owner: name } },
        roles: { [`${shop}_old`]: { ensure: 'absent' }, ...more },
      })
    await declared({ [`${shop}_new`]: {} })
    expect(await admin.changes('plan')).toEqual(
      expect.arrayContaining([`drop role ${shop}_old: is declared absent`, `create role ${shop}_new: does not exist`]),
    )
    expect((await admin.pgbosun('plan')).json.warnings).toEqual(
      expect.arrayContaining([expect.stringMatching(/may not remove roles: `up` will refuse/)]),
    )
    expect((await admin.pgbosun('up')).json.error).toMatchObject({
      kind: 'refused',
      message: expect.stringContaining('may not remove roles'),
    })
    expect(await admin.ask(`select from pg_roles where rolname = '${shop}_new'`)).toEqual([])
    expect((await admin.pgbosun('plan', '--exit-code')).code).toBe(3)
    expect(await admin.runScript()).toContain(`-- role ${shop}_old is declared absent, which only a superuser may do`)
  })

  test('changes its own login last, where it is declared', async ({ admin }) => {
    const { shop, name } = admin
    await admin.declare({
      databases: { [shop]: { owner: name } },
      users: { [name]: { config: { work_mem: '5MB' } }, [`${shop}_x`]: {} },
    })
    if (major < 15) await admin.runScript()
    const made = (await admin.changes('up')).filter((change) => !/database shop/.test(change))
    expect(made.at(-1)).toContain('work_mem of role me')
    expect(await admin.changes('up')).toEqual([])
  })

  test('writes a script that does what it says, whatever the names are', async ({ admin }) => {
    const odd = [`o'"; drop table x; --`, '$$ \\! false $$', 'ü\\:name', 'x'.repeat(60)].map((text, i) => `${i}${text}`)
    admin.shop = `${admin.shop.slice(0, 30)} d'"=\\`
    await admin.declare({
      databases: {
        [admin.shop]: {
          owner: `${odd[0]}`,
          extensions: { pg_stat_statements: {} },
          schemas: { [odd[1]!]: { owner: odd[2]!, access: { [odd[3]!]: 'read' } } },
          config: { log_statement: 'ddl' },
        },
      },
      users: { [odd[3]!]: { memberOf: ['pg_monitor'], password: { env: 'SECRET' } } },
      roles: { [odd[0]!]: {}, [odd[2]!]: {} },
    })
    expect((await admin.pgbosun('up')).code).toBe(12)
    await admin.runScript()
    await admin.changes('up')
    expect(await admin.changes('up')).toEqual([])
    for (const statement of [
      `drop database "${admin.shop.replaceAll('"', '""')}"`,
      ...odd.map((one) => `drop role if exists "${one.replaceAll('"', '""')}"`),
    ])
      await admin.ask(statement)
  })

  test.skipIf(major >= 19)('refuses to write a script with characters that nobody can see', async ({ admin }) => {
    const { shop } = admin
    admin.shop = 'postgres'
    await admin.declare({ users: { [`${shop}\n\\! touch x`]: { preset: 'backup' } } })
    const refused = await admin.pgbosun('roles', 'plan', '--for-admin')
    expect(refused.json.error).toMatchObject({ kind: 'refused', message: expect.stringContaining('nobody can see') })
  })

  test('waits for nobody: another tool that changes the same roles makes it plan again', async ({ admin }) => {
    const { shop } = admin
    admin.shop = 'postgres'
    const users = Object.fromEntries([1, 2, 3, 4].map((i) => [`${shop}_${i}`, { connectionLimit: i }]))
    await admin.declare({ users })
    await admin.changes('roles', 'apply')
    let going = true
    const other = (async () => {
      while (going)
        for (const user of Object.keys(users))
          await admin.ask(`alter role "${user}" connection limit 9`).catch(() => {})
    })()
    const runs = []
    for (let i = 0; i < 4; i++) runs.push((await admin.pgbosun('roles', 'apply')).code)
    going = false
    await other
    // 30: the other tool changes it back
    expect(runs.filter((code) => code !== 0 && code !== 30)).toEqual([])
    await admin.changes('roles', 'apply')
    expect(await admin.changes('roles', 'apply')).toEqual([])
  })

  test('creates the extensions that a hosted server offers to its administrators', async ({ admin }) => {
    const { shop, name } = admin
    await admin.ask(`do $$ begin create role rds_superuser; exception when duplicate_object then null; end $$`)
    await admin.ask(`grant rds_superuser to "${name}"`)
    await admin.ask(`alter role "${name}" set rds.extensions = 'hstore, pg_stat_statements'`)
    const extensions = { pg_stat_statements: {}, hstore: {} }
    await admin.declare({ databases: { [shop]: { owner: name, extensions } } })
    const { json } = await admin.pgbosun('roles', 'plan', '--for-admin')
    expect((json.for_admin as { script: string }).script).not.toContain('pg_stat_statements')
    await admin.declare({ databases: { [shop]: { owner: name, extensions: { postgres_fdw: {} } } } })
    const more = await admin.pgbosun('roles', 'plan', '--for-admin', '--exit-code')
    expect([more.code, (more.json.for_admin as { script: string }).script]).toEqual([
      3,
      expect.stringContaining('postgres_fdw'),
    ])
  })
})

describe('the owner of a database who may do nothing else', () => {
  test.override({ attributes: '' })

  test('manages schemas and privileges, and is told the rest', async ({ admin }) => {
    const { shop, name } = admin
    await admin.ask(`create role "${shop}_ro" login`)
    await admin.ask(`create database "${shop}" owner "${name}"`)
    await admin.ask(`alter schema public owner to "${name}"`, shop)
    const readers = { [`${shop}_ro`]: { config: {} } }
    const schemas = { public: {}, app: { access: { [`${shop}_ro`]: 'read' } } }
    await admin.declare(
      { databases: { [shop]: { owner: name, schemas, extensions: { citext: {} } } }, users: readers },
      migration,
    )
    await admin.changes('up')
    expect(await admin.changes('up')).toEqual([])
    await admin.declare({
      databases: { [shop]: { owner: name, schemas } },
      users: {
        [`${shop}_ro`]: { connectionLimit: 3 },
        [`${shop}_new`]: { password: { env: 'SECRET' }, memberOf: [`${shop}_group`] },
      },
      roles: { [`${shop}_group`]: {} },
    })
    const refused = await admin.pgbosun('up')
    expect(refused.json.error).toMatchObject({ kind: 'refused', message: expect.stringContaining('CREATEROLE') })
    const script = await admin.runScript()
    expect(script).toContain(`by hand, with \\password "${shop}_new"`)
    expect((await admin.pgbosun('roles', 'plan')).json.steps).toMatchObject([
      { changes: [{ object: `password of role ${shop}_new` }] },
      { changes: [] },
    ])
  })
})
