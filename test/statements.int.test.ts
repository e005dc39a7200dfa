import { describe, expect } from 'vitest'
import type { Session } from '../src/postgres/session.ts'
import { scan } from '../src/sql/scan.ts'
import { mayCommitInside, needsNoTransaction } from '../src/sql/statements.ts'
import { server } from './support/postgres.ts'
import { withSession } from './support/session.ts'

const setUp = `
  create table t (a int, b int);
  create index i on t (a);
  create table whole (a int) partition by range (a);
  create table part partition of whole for values from (0) to (10);
  create type mood as enum ('sad');
  create materialized view m as select 1 as a;
  create unique index on m (a);
  create publication p`

const test = withSession(setUp)

/** What the server says to a statement in a transaction block, which is rolled back: an SQLSTATE, or that it is fine. */
async function answerTo({ sql }: Session, statement: string): Promise<string> {
  await sql.unsafe('begin')
  const answer = await sql.unsafe(statement).then(
    () => 'fine',
    ({ code }: { code?: string }) => code ?? 'not an error of the server',
  )
  await sql.unsafe('rollback')
  return answer
}

const reasonOf = (text: string) => needsNoTransaction(scan(text).statements.at(0)!, text)

type Case = [statement: string, from?: number]
const knownHere = ([, from = 13]: Case) => server().major >= from
const statements = (cases: Case[]) => cases.filter(knownHere).map(([statement]) => statement)

describe('the server refuses in a transaction block', () => {
  const refused = statements([
    ['create index concurrently on t (a)'],
    ['create unique index concurrently "x" on t (a)'],
    ['create index concurrently if not exists i on t (a)'],
    ['drop index concurrently i'],
    ['reindex table concurrently t'],
    ['reindex index concurrently i'],
    ['reindex (concurrently) table t', 14],
    ['reindex (verbose, concurrently on) index i', 14],
    ['reindex schema public'],
    ['reindex (verbose) schema public'],
    ['reindex schema concurrently public'],
    ['vacuum'],
    ['vacuum (analyze) t'],
    ['vacuum full t'],
    ['create database nobody_makes_this'],
    ['drop database if exists nobody_made_this'],
    [`create tablespace x location '/nowhere'`],
    ['drop tablespace x'],
    [`alter system set work_mem = '4MB'`],
    ['alter system reset all'],
    ['alter database template1 set tablespace pg_default'],
    ['discard all'],
    ['cluster'],
    ['cluster verbose'],
    ['cluster (verbose)', 17],
    ['repack', 19],
    ['repack using index', 19],
    ['repack (concurrently) t', 19],
    ['repack (verbose, concurrently on) t using index i', 19],
    ['repack (analyze) t', 19],
    ['alter table whole detach partition part concurrently', 14],
    ['alter table only public.whole detach partition public."part" /* x */ concurrently -- y', 14],
    [`commit prepared 'x'`],
    [`rollback prepared 'x'`],
    [`create subscription s connection '' publication p`],
    [`create subscription s connection '' publication p with (enabled = false)`],
  ])

  test.for(refused)('%s', async (statement, { session }) => {
    expect(reasonOf(statement)).toBeDefined()
    expect(await answerTo(session, statement)).toBe('25001')
  })

  test('reindex of the database and of its catalogs', async ({ session, database }) => {
    for (const statement of [`reindex database ${database}`, `reindex system "${database}"`]) {
      expect(reasonOf(statement)).toBeDefined()
      expect(await answerTo(session, statement)).toBe('25001')
    }
  })
})

describe('the server accepts in a transaction block', () => {
  const accepted = statements([
    ['create index on t (a)'],
    ['create index "concurrently" on t (a)'],
    ['drop index i'],
    ['reindex table t'],
    ['reindex index i'],
    ['reindex (concurrently false) table t', 14],
    [`select 'vacuum', 1 as vacuum`],
    ['do $$ begin perform 1; end $$'],
    ['analyze t'],
    ['explain create materialized view n as select 1'],
    ['refresh materialized view concurrently m'],
    [`alter type mood add value 'happy'`],
    ['cluster t using i'],
    ['repack t', 19],
    ['repack (concurrently false, analyze off) t using index i', 19],
    ['alter table whole detach partition part'],
    [`alter database template1 set work_mem = '4MB'`],
    ['discard temp'],
    ['discard plans'],
    [`create subscription s connection '' publication p with (connect = false)`],
    [`create subscription s connection '' publication p with (connect = false, create_slot = off)`],
    [`comment on table t is 'detach partition c concurrently'`],
  ])

  test.for(accepted)('%s', async (statement, { session }) => {
    expect(reasonOf(statement)).toBeUndefined()
    expect(await answerTo(session, statement)).toBe('fine')
  })

  test('a detach that is to be finished, and finds nothing begun', async ({ session }) => {
    const statement = 'alter table whole detach partition part finalize'
    expect(reasonOf(statement)).toBeUndefined()
    expect(await answerTo(session, statement)).toBe(server().major >= 14 ? '55000' : '42601')
  })
})

describe('of a subscription', () => {
  /** Its publisher is not there: the worker fails to connect and tries again until the test is over. */
  const subscribed = test.extend<{ subscription: string }>({
    subscription: async ({ session, database }, use) => {
      const name = `s_${database}`
      await session.sql.unsafe(
        `create subscription ${name} connection 'host=127.0.0.1 port=1' publication p, o with (connect = false)`,
      )
      await use(name)
      await session.sql.unsafe(`alter subscription ${name} disable`)
      await session.sql.unsafe(`alter subscription ${name} set (slot_name = none)`)
      await session.sql.unsafe(`drop subscription ${name}`)
    },
  })
  const named = (statement: string, name: string) => statement.replace('NAME', name)

  subscribed.for(
    statements([
      ['drop subscription NAME'],
      ['alter subscription NAME refresh publication', 14],
      ['alter subscription NAME refresh publication with (copy_data = false)', 14],
      ['alter subscription NAME set publication q', 14],
      ['alter subscription NAME add publication q', 14],
      ['alter subscription NAME drop publication p with (refresh)', 14],
    ]),
  )('the server refuses: %s', async (text, { session, subscription }) => {
    const statement = named(text, subscription)
    await session.sql.unsafe(`alter subscription ${subscription} enable`)
    expect(reasonOf(statement)).toBeDefined()
    expect(await answerTo(session, statement)).toBe('25001')
  })

  subscribed.for(
    statements([
      ['alter subscription NAME set (failover = true)', 17],
      ['alter subscription NAME set (two_phase = false)', 18],
    ]),
  )('the server refuses for the slot: %s', async (text, { session, subscription }) => {
    if (text.includes('two_phase'))
      await session.sql.unsafe(`alter subscription ${subscription} set (two_phase = true)`)
    const statement = named(text, subscription)
    expect(reasonOf(statement)).toBeDefined()
    expect(await answerTo(session, statement)).toBe('25001')
  })

  subscribed.for(
    statements([
      ['alter subscription NAME set publication q with (refresh = false)'],
      ['alter subscription NAME add publication q with (refresh = off)', 14],
      ['alter subscription NAME enable'],
      ['alter subscription NAME disable'],
      ['alter subscription NAME set (slot_name = none)'],
      ['alter subscription NAME set (synchronous_commit = off)'],
      ['alter subscription NAME set (two_phase = true)', 18],
      ['alter subscription NAME rename to refresh'],
    ]),
  )('the server accepts: %s', async (text, { session, subscription }) => {
    const statement = named(text, subscription)
    expect(reasonOf(statement)).toBeUndefined()
    expect(await answerTo(session, statement)).toBe('fine')
  })
})

describe('what commits inside', () => {
  const commits = ['call commits()', 'do $$ begin insert into t values (1); commit; end $$']

  test.for(commits)('works alone and only alone: %s', async (statement, { session }) => {
    await session.sql.unsafe(
      'create procedure commits() language plpgsql as $$ begin insert into t values (1); commit; end $$',
    )
    expect(scan(statement).statements.map((one) => mayCommitInside(one, statement))).toEqual([true])
    expect(await answerTo(session, statement)).toBe('2D000')
    await expect(session.sql.unsafe(`${statement}; select 1`)).rejects.toMatchObject({ code: '2D000' })
    await session.sql.unsafe(statement)
    expect(await session.sql.unsafe('select a from t')).toEqual([{ a: 1 }])
  })
})
