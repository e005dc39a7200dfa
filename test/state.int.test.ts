import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import { deleteOldEvents, writeFinished, writeStarted } from '../src/db/events.ts'
import { quoteIdent } from '../src/db/sql.ts'
import { createState, planState, readState } from '../src/db/state.ts'
import { open, type Sql, test, uniqueName } from './support/postgres.ts'

const password = 'secret of a test'
const createUser = async (sql: Sql, prefix: string, options = '') => {
  const name = uniqueName(prefix)
  await sql.unsafe(`create role ${quoteIdent(name)} login password '${password}' ${options}`)
  return name
}
const makeOwner = async (sql: Sql, database: string) => {
  const owner = uniqueName('Own "er')
  await sql.unsafe(`create role ${quoteIdent(owner)}; alter database ${database} owner to ${quoteIdent(owner)}`)
  return owner
}
const ownersOf = async (sql: Sql) => {
  const rows = await sql<{ owner: string }[]>`
    select pg_get_userbyid(relowner) as owner from pg_class where relnamespace = 'pgbosun'::regnamespace and relkind = 'r'
    union all select pg_get_userbyid(nspowner) from pg_namespace where nspname = 'pgbosun'`
  return [...new Set(rows.map(({ owner }) => owner))]
}
const insertRow = (sql: Sql) =>
  sql.unsafe(
    `insert into pgbosun.migrations (seq, version, name, sha256, status, tool_version) values (1, 1, '1_a', '', 'applied', '0')`,
  )

test('creates the state once, owned by the owner of the database', async ({ sql, database }) => {
  const owner = await makeOwner(sql, database)
  expect((await createState(sql, { readers: [] })).map(({ object }) => object)).toContain('table pgbosun.migrations')
  expect(await ownersOf(sql)).toEqual([owner])
  expect(await createState(sql, { readers: [] })).toEqual([])
  expect(await sql`select version from pgbosun.state`).toEqual([{ version: 1 }])
})

test('keeps one row for the version', async ({ sql }) => {
  await createState(sql, { readers: [] })
  await expect(sql`insert into pgbosun.state values (2)`).rejects.toMatchObject({ code: '23505' })
})

test('lets readers see the history, but not the audit trail, and nobody else anything', async ({ sql, database }) => {
  const reader = await createUser(sql, 'Rea"der')
  await sql.unsafe('alter default privileges grant select on tables to public')
  await createState(sql, { readers: [reader, 'there is no such role'] })
  const as = open(database, { name: reader, password })
  for (const table of ['migrations', 'seeds', 'state']) await as.unsafe(`select from pgbosun.${table}`)
  await expect(as.unsafe('select from pgbosun.events')).rejects.toMatchObject({ code: '42501' })
  await expect(as.unsafe('delete from pgbosun.state')).rejects.toMatchObject({ code: '42501' })
  await as.end()

  const other = open(database, { name: await createUser(sql, 'other'), password })
  await expect(other.unsafe('select from pgbosun.state')).rejects.toMatchObject({ code: '42501' })
  await other.end()
  expect(await createState(sql, { readers: [reader] })).toEqual([])
})

test('repairs what was taken away, and then finds nothing', async ({ sql }) => {
  const reader = await createUser(sql, 'reader')
  await createState(sql, { readers: [reader] })
  await sql.unsafe(
    `revoke select on pgbosun.seeds from ${reader}; drop table pgbosun.events; grant select on pgbosun.state to public`,
  )
  const changes = planState(await readState(sql, [reader]))
  expect(changes.map(({ action, object }) => `${action} ${object}`)).toEqual([
    'revoke table pgbosun.state',
    'create table pgbosun.events',
    'revoke table pgbosun.events',
    'grant schema pgbosun',
  ])
  await createState(sql, { readers: [reader] })
  expect(planState(await readState(sql, [reader]))).toEqual([])
})

test('follows the database to a new owner', async ({ sql, database }) => {
  await createState(sql, { readers: [] })
  const owner = await makeOwner(sql, database)
  await createState(sql, { readers: [] })
  expect(await ownersOf(sql)).toEqual([owner])
  expect(await createState(sql, { readers: [] })).toEqual([])
})

test('a user that may become the owner without inheriting from it can write', async ({ sql, database }) => {
  const owner = await makeOwner(sql, database)
  const user = await createUser(sql, 'deployer', 'noinherit')
  await sql.unsafe(`grant ${quoteIdent(owner)} to ${user}`)
  const as = open(database, { name: user, password })
  await createState(as, { readers: [] })
  expect(await ownersOf(sql)).toEqual([owner])
  await insertRow(as)
  await writeStarted(as, { runId: randomUUID(), command: 'up' })
  expect(await createState(as, { readers: [] })).toEqual([])

  // Another user of the same kind comes later.
  const second = await createUser(sql, 'deployer', 'noinherit')
  await sql.unsafe(`grant ${quoteIdent(owner)} to ${second}`)
  const later = open(database, { name: second, password })
  expect((await createState(later, { readers: [] })).map(({ action }) => action)).toEqual(['grant'])
  expect(await createState(later, { readers: [] })).toEqual([])
  await Promise.all([as.end(), later.end()])
})

test('a user that is not a member of the owner owns the state itself', async ({ sql, database }) => {
  await makeOwner(sql, database)
  const user = await createUser(sql, 'deployer')
  await sql.unsafe(`grant create on database ${database} to ${user}`)
  const as = open(database, { name: user, password })
  await createState(as, { readers: [] })
  expect(await ownersOf(sql)).toEqual([user])
  expect(await createState(as, { readers: [] })).toEqual([])
  await as.end()
})

test('leaves the state of a newer program alone', async ({ sql }) => {
  await createState(sql, { readers: [] })
  await sql`update pgbosun.state set version = 2`
  await expect(createState(sql, { readers: [] })).rejects.toMatchObject({ kind: 'history', message: /newer pgbosun/ })
})

test('writes a pair of events and forgets old ones', async ({ sql }) => {
  await createState(sql, { readers: [] })
  const runId = randomUUID()
  await writeStarted(sql, { runId, command: `up 'x'`, actor: 'pod-1' })
  await writeFinished(sql, { runId, command: 'up', exitCode: 20, detail: { note: "it's \\ \0 ü" } })
  expect(await sql`select run_id, actor, command, phase, exit_code, detail from pgbosun.events order by id`).toEqual([
    { run_id: runId, actor: 'pod-1', command: `up 'x'`, phase: 'started', exit_code: null, detail: null },
    {
      run_id: runId,
      actor: 'postgres',
      command: 'up',
      phase: 'finished',
      exit_code: 20,
      detail: { note: "it's \\  ü" },
    },
  ])
  await sql`update pgbosun.events set at = at - interval '401 days' where phase = 'started'`
  await deleteOldEvents(sql, 400 * 86_400_000)
  expect(await sql`select phase from pgbosun.events`).toEqual([{ phase: 'finished' }])
})
