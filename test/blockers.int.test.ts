import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { silentLog } from '../src/log.ts'
import { type BlockerWatch, createBlockerWatch, describeBlockers, isOwnDump } from '../src/postgres/blockers.ts'
import { openSession } from '../src/postgres/connect.ts'
import type { Session } from '../src/postgres/session.ts'
import { backUp, client, connectionTo } from './support/backup.ts'
import { test, uniqueName, urlOf } from './support/postgres.ts'

const password = 'geheim of the test'

const session = (url: string, applicationName = 'pgbosun test', log = silentLog): Promise<Session> =>
  openSession(connectionTo(url), { applicationName, log, ownPath: true })

/** Runs `use` with sessions to the test's database and one that observes from another database, and ends them. */
async function withSessions(
  database: string,
  use: (sessions: { holder: Session; waiter: Session; observer: Session }) => Promise<void>,
  observedBy?: { name: string; password: string },
): Promise<void> {
  const sessions = {
    holder: await session(urlOf(database), 'report'),
    waiter: await session(urlOf(database), 'waiter'),
    observer: await session(urlOf('postgres', observedBy), 'observer'),
  }
  try {
    await use(sessions)
  } finally {
    for (const each of Object.values(sessions)) await each.end()
  }
}

/** Lets the waiter run into its lock timeout while it is watched. */
async function timeOut(waiter: Session, watch: BlockerWatch, statement = 'alter table held add x int') {
  watch.start()
  const refused = await waiter.sql.unsafe(`begin; set local lock_timeout = '700ms'; ${statement}`).then(
    () => undefined,
    (error: { code: string }) => error.code,
  )
  await watch.stop()
  expect(refused).toBe('55P03')
}

describe('a lock timeout', () => {
  test('names the session that holds the lock, seen from another database', async ({ database, sql }) => {
    await sql`create table held (id int)`
    await withSessions(database, async ({ holder, waiter, observer }) => {
      await holder.sql.unsafe('begin; lock table held in access share mode')
      const watch = createBlockerWatch({ observer: observer.sql, pid: waiter.pid, everyMs: 100 })

      await timeOut(waiter, watch)

      expect(watch.last()).toMatchObject([
        { pid: holder.pid, application: 'report', user: 'postgres', state: 'idle in transaction' },
      ])
      expect(describeBlockers(watch.last())).toMatch(
        /^blocked by pid \d+ \(application "report", user postgres, idle in transaction for [012] s\)$/,
      )
      watch.start()
      expect(watch.last()).toEqual([])
      await watch.stop()
    })
  })

  test('names it for a role without privileges too, without what that role may not see', async ({ database, sql }) => {
    const name = uniqueName('plain')
    await sql.unsafe(`create role ${name} login password '${password}'; create table held (id int)`)
    await withSessions(
      database,
      async ({ holder, waiter, observer }) => {
        await holder.sql.unsafe('begin; lock table held')
        const watch = createBlockerWatch({ observer: observer.sql, pid: waiter.pid, everyMs: 100 })

        await timeOut(waiter, watch)

        expect(watch.last()).toEqual([
          {
            pid: holder.pid,
            application: 'report',
            user: 'postgres',
            state: undefined,
            stateAgeMs: undefined,
            transactionAgeMs: undefined,
            backendType: undefined,
          },
        ])
        expect(describeBlockers(watch.last())).toBe(
          `blocked by pid ${holder.pid} (application "report", user postgres)`,
        )
      },
      { name, password },
    )
  })

  test('names everybody that is in the way, the oldest transaction first', async ({ database, sql }) => {
    await sql`create table held (id int)`
    await withSessions(database, async ({ holder, waiter, observer }) => {
      await holder.sql.unsafe('begin; lock table held in access share mode')
      const second = await session(urlOf(database), 'second')
      await second.sql.unsafe('begin; lock table held in access share mode')
      const watch = createBlockerWatch({ observer: observer.sql, pid: waiter.pid, everyMs: 100 })

      await timeOut(waiter, watch)

      expect(watch.last().map(({ application }) => application)).toEqual(['report', 'second'])
      await second.end()
    })
  })
})

test('a deadlock names the other session', async ({ database, sql }) => {
  await sql`create table one (id int)`
  await sql`create table two (id int)`
  await withSessions(database, async ({ holder, waiter, observer }) => {
    // the waiter looks for deadlocks at once, the holder never: it is the waiter that fails
    await holder.sql.unsafe(`begin; set local deadlock_timeout = '10min'; lock table one`)
    await waiter.sql.unsafe(`begin; set local deadlock_timeout = '600ms'; lock table two`)
    const watch = createBlockerWatch({ observer: observer.sql, pid: waiter.pid, everyMs: 100 })
    const crossed = holder.sql.unsafe('lock table two').execute()

    watch.start()
    await expect(waiter.sql.unsafe('lock table one')).rejects.toMatchObject({ code: '40P01' })
    await watch.stop()

    expect(watch.last()).toMatchObject([{ pid: holder.pid, application: 'report' }])
    await waiter.sql.unsafe('rollback')
    await crossed
  })
})

describe('a watch', () => {
  test('forgets who blocked an earlier statement of the same message', async ({ database, sql }) => {
    await sql`create table held (id int)`
    await withSessions(database, async ({ holder, waiter, observer }) => {
      await holder.sql.unsafe('begin; lock table held')
      const watch = createBlockerWatch({ observer: observer.sql, pid: waiter.pid, everyMs: 50 })
      watch.start()
      const message = waiter.sql.unsafe('begin; lock table held; select pg_sleep(1)').execute()
      await expect.poll(() => watch.last()).toHaveLength(1)

      await holder.sql.unsafe('commit')
      await message

      expect(watch.last()).toEqual([])
      await watch.stop()
    })
  })

  test('asks nothing of a message that is done in time, and nothing after the stop', async ({ database }) => {
    await withSessions(database, async ({ waiter, observer }) => {
      let asked = 0
      const counting = {
        unsafe(query: string) {
          asked++
          return observer.sql.unsafe(query)
        },
      } as typeof observer.sql
      const watch = createBlockerWatch({ observer: counting, pid: waiter.pid, everyMs: 200 })
      watch.start()
      await waiter.sql.unsafe('select 1')
      await watch.stop()
      await sleep(300)
      expect(asked).toBe(0)

      watch.start()
      await expect.poll(() => asked).toBeGreaterThan(1)
      await watch.stop()
      const before = asked
      await sleep(300)
      expect(asked).toBe(before)
    })
  })

  test('survives the loss of its observer, and asks it nothing more', async ({ database }) => {
    await withSessions(database, async ({ holder, waiter, observer }) => {
      const said: unknown[] = []
      const log = { ...silentLog, debug: (fields: unknown) => said.push(fields) } as typeof silentLog
      const watch = createBlockerWatch({ observer: observer.sql, pid: waiter.pid, everyMs: 30, log })
      watch.start()
      await holder.sql.unsafe(`select pg_terminate_backend(${observer.pid})`)
      await expect.poll(() => said).toHaveLength(1)
      await sleep(200)
      const startedAt = performance.now()
      await watch.stop()

      expect(performance.now() - startedAt).toBeLessThan(500)
      expect(said).toHaveLength(1)
      expect(watch.last()).toEqual([])
    })
  })

  test('that begins on an observer that is lost already ends all the same', async ({ database }) => {
    await withSessions(database, async ({ holder, waiter, observer }) => {
      await holder.sql.unsafe(`select pg_terminate_backend(${observer.pid})`)
      await observer.lost
      const watch = createBlockerWatch({ observer: observer.sql, pid: waiter.pid, everyMs: 30 })
      watch.start()
      await sleep(150)
      const startedAt = performance.now()
      await watch.stop()
      expect(performance.now() - startedAt).toBeLessThan(3_000)
    })
  })

  test('goes on after an error that is not the end of the connection', async ({ database }) => {
    await withSessions(database, async ({ waiter, observer }) => {
      const said: unknown[] = []
      const log = { ...silentLog, debug: (fields: unknown) => said.push(fields) } as typeof silentLog
      await observer.sql.unsafe('begin')
      await observer.sql.unsafe('select 1/0').catch(() => {})
      const watch = createBlockerWatch({ observer: observer.sql, pid: waiter.pid, everyMs: 30, log })
      watch.start()
      await expect.poll(() => said.length).toBeGreaterThan(2)
      await watch.stop()
      expect(said[0]).toEqual({ problem: expect.stringContaining('current transaction is aborted') })
    })
  })
})

test.skipIf(!client)('a backup of ours in the way is recognised', async ({ database, sql, dir }) => {
  await sql`create table held (i int)`
  await sql`create table kept_from_it (i int)`
  await withSessions(database, async ({ holder, waiter, observer }) => {
    await holder.sql.unsafe('begin; lock table kept_from_it in access exclusive mode')
    const backup = backUp(dir, urlOf(database), { runId: 'abc' })
    const waitsWithFirstTable = () => sql`
      select 1 from pg_stat_activity join pg_locks using (pid)
      where application_name = 'pgbosun backup abc' and wait_event_type = 'Lock' and relation = 'held'::regclass and granted`
    await expect.poll(waitsWithFirstTable).toHaveLength(1)

    const watch = createBlockerWatch({ observer: observer.sql, pid: waiter.pid, everyMs: 100 })
    await timeOut(waiter, watch)
    await holder.sql.unsafe('rollback')

    expect(watch.last()).toHaveLength(1)
    expect(watch.last().every(isOwnDump)).toBe(true)
    expect(describeBlockers(watch.last())).toContain('a backup of pgbosun, application "pgbosun backup abc"')
    await backup
  })
})
