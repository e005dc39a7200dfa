import { expect } from 'vitest'
import { runJson } from './support/cli.ts'
import { test, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

type Json = {
  steps?: { changes: { action: string; object: string }[] }[]
  error: { message: string } | null
  warnings: string[]
}

test('strict takes nothing from anybody unnamed before that is accepted, then everything, and repairs it', async ({
  dir,
  database,
  sql,
}) => {
  const [bi, cdc, ann] = [uniqueName('bi'), uniqueName('cdc'), uniqueName('ann')]
  await sql.unsafe(`create role ${bi}; create role ${cdc}; create table t (id int); create view v as select 1;
    create function f() returns int language sql as 'select 1'; create extension pg_trgm;
    grant select on t to ${bi}, ${cdc} with grant option; set role ${bi}; grant select on t to ${cdc}; reset role;
    grant insert (id) on t to ${bi}; grant select on v to public; grant usage on schema public to ${bi}`)
  const env = { DATABASE_URL: urlOf(database) }
  const run = async (command: string[], manage: object) => {
    const configuration = {
      manage: { privileges: 'strict', ...manage },
      roles: { [ann]: null },
      databases: { [database]: { schemas: { public: { access: { [ann]: 'read' } } } } },
    }
    await writeFiles(dir, { 'pgbosun.yaml': JSON.stringify(configuration) })
    const { code, json } = await runJson(command, { cwd: dir, env })
    const { steps = [], error, warnings } = json as unknown as Json
    const changes = steps.flatMap((step) => step.changes.map((one) => `${one.action} ${one.object}`))
    return { code, changes, message: error?.message, warnings }
  }
  const held = async () =>
    (
      await sql`select count(*)::int as n from pg_class, aclexplode(relacl) x where relname in ('t', 'v') and grantee <> relowner`
    )[0]?.n

  const before = await held()
  for (const command of [['up'], ['roles', 'apply']])
    expect(await run(command, { strictAccept: [bi] })).toMatchObject({
      code: 30,
      message: expect.stringMatching(new RegExp(`not name: .*${cdc}`)),
    })
  expect(await sql`select from pg_roles where rolname = ${ann}`).toEqual([])
  expect(await held()).toBe(before)

  const planned = await run(['roles', 'plan', '--exit-code'], { strictAccept: [bi] })
  expect([planned.code, planned.warnings.join()]).toEqual([3, expect.stringContaining('--accept-revokes')])
  expect(planned.changes).toEqual(
    expect.arrayContaining([expect.stringMatching(new RegExp(`^revoke SELECT on table public.t from ${cdc}`))]),
  )
  expect(await run(['check'], { strictAccept: [bi] })).toMatchObject({ code: 50 })

  expect(await run(['roles', 'apply', '--accept-revokes'], { strictAccept: [bi] })).toMatchObject({ code: 0 })
  expect(await run(['roles', 'plan', '--exit-code'], {})).toMatchObject({ code: 0, changes: [] })
  expect(
    await sql`select has_function_privilege(${cdc}, 'f()', 'execute') as f, has_function_privilege(${cdc}, 'similarity(text, text)', 'execute') as s,
    has_schema_privilege(${cdc}, 'public', 'usage') as u, has_table_privilege(${cdc}, 't', 'select') as t, has_column_privilege(${bi}, 't', 'id', 'insert') as c`,
  ).toEqual([{ f: true, s: true, u: true, t: false, c: false }])

  await sql.unsafe(`grant select on t to ${bi}`)
  expect(await run(['up'], {})).toMatchObject({ code: 30 })
  expect(await run(['up'], { strictAccept: [bi] })).toMatchObject({ code: 0 })
  expect(await run(['up'], { strictAccept: [bi] })).toMatchObject({ code: 0, changes: [] })
})

test('what a migration grants to somebody unnamed is refused after it, without being taken away', async ({
  dir,
  database,
  sql,
}) => {
  const bi = uniqueName('bi')
  await sql.unsafe(`create role ${bi}`)
  await writeFiles(dir, {
    'pgbosun.yaml': JSON.stringify({
      manage: { privileges: 'strict' },
      databases: { [database]: { schemas: { public: null } } },
    }),
    'migrations/1_t.sql': `create table t (); grant select on t to ${bi}`,
  })
  const up = () => runJson(['up'], { cwd: dir, env: { DATABASE_URL: urlOf(database) } })
  expect(await up()).toMatchObject({ code: 30 })
  expect(await sql`select has_table_privilege(${bi}, 't', 'select') as t`).toEqual([{ t: true }])
})
