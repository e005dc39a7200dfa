import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { silentLog } from '../src/log.ts'
import { openSession } from '../src/postgres/connect.ts'
import { copyIn } from '../src/postgres/copy.ts'
import type { Session } from '../src/postgres/session.ts'
import { inTransaction } from '../src/postgres/transaction.ts'
import { connectionTo } from './support/backup.ts'
import { urlOf } from './support/postgres.ts'
import { withSession } from './support/session.ts'

const test = withSession('create table parents (id int primary key); create table t (a int, b text)')

const rowsOf = async ({ sql }: Session) =>
  (await sql.unsafe('select a, b from t order by a, b')).map((row) => ({ ...row }))

describe('COPY from the client', () => {
  test('loads what it is given, in a transaction and outside of one', async ({ session }) => {
    const { sql } = session
    expect(await copyIn(sql, 'copy t from stdin', ['1\t€\\t😀\n', Buffer.from('2\t\\N\n')])).toBe(2)
    expect(await inTransaction(sql, (tx) => copyIn(tx, 'copy t from stdin with (format csv)', ['3,"x\ny"\n']))).toBe(1)
    expect(await copyIn(sql, 'copy t from stdin', [])).toBe(0)
    expect(await rowsOf(session)).toEqual([
      { a: 1, b: '€\t😀' },
      { a: 2, b: null },
      { a: 3, b: 'x\ny' },
    ])
  })

  test('reads lines that end as on Windows', async ({ session }) => {
    await copyIn(session.sql, 'copy t from stdin', ['1\tx\r\n2\ty\r\n'])
    expect(await rowsOf(session)).toEqual([
      { a: 1, b: 'x' },
      { a: 2, b: 'y' },
    ])
  })

  test.for([
    ['in the middle', '1\tx\nno\ty\n3\tz\n', '22P02', 2],
    ['in the last line, after the last byte', '1\tx\n2', '22P04', 2],
    ['of a trigger', '1\tx\n666\ty\n3\tz\n', 'P0001', 2],
  ] as const)('keeps the fields of an error %s, and the session goes on', async ([, data, code, line], { session }) => {
    const { sql } = session
    await sql.unsafe(`
      create function f1() returns trigger language plpgsql as
        $$ begin if new.a = 666 then raise exception 'no'; end if; return new; end $$;
      create trigger r before insert on t for each row execute function f1()`)
    const failed = copyIn(sql, 'copy t from stdin', [data])
    await expect(failed).rejects.toMatchObject({ code, where: expect.stringContaining(`COPY t, line ${line}`) })
    expect(await copyIn(sql, 'copy t from stdin', ['7\tx\n'])).toBe(1)
    expect(await rowsOf(session)).toEqual([{ a: 7, b: 'x' }])
  })

  test('tells what is found after all rows', async ({ session }) => {
    await session.sql.unsafe('alter table t add foreign key (a) references parents')
    await expect(copyIn(session.sql, 'copy t from stdin', ['1\tx\n'])).rejects.toMatchObject({ code: '23503' })
    expect(await rowsOf(session)).toEqual([])
  })

  test('tells what is wrong with the statement, with its position', async ({ session }) => {
    await expect(copyIn(session.sql, 'copy t fron stdin', [])).rejects.toMatchObject({ code: '42601', position: '8' })
    await expect(copyIn(session.sql, 'copy nothing from stdin', [])).rejects.toMatchObject({ code: '42P01' })
    await expect(copyIn(session.sql, 'select 1', [])).rejects.toThrow('did not ask for data')
  })

  test('keeps nothing when the source fails, and tells what the source said', async ({ session }) => {
    async function* failing() {
      yield '1\tx\n'
      throw new Error('the disk is gone')
    }
    await expect(copyIn(session.sql, 'copy t from stdin', failing())).rejects.toThrow('the disk is gone')
    expect(await rowsOf(session)).toEqual([])
  })

  test('ends when the connection is lost, in the middle and while it waits for the answer', async ({
    database,
    sql,
  }) => {
    const kill = (pid: number) => sql`select pg_terminate_backend(${pid}::int)`
    for (const when of ['middle', 'end']) {
      const session = await openSession(connectionTo(urlOf(database)), {
        applicationName: 'test',
        log: silentLog,
        ownPath: true,
      })
      await session.sql.unsafe(`
        create temporary table slow (a int);
        create function pg_temp.f() returns trigger language plpgsql as $$ begin perform pg_sleep(20); return null; end $$;
        create trigger r after insert on slow execute function pg_temp.f()`)
      async function* rows() {
        yield '1\n'
        if (when === 'middle') await kill(session.pid)
        else setTimeout(() => kill(session.pid).catch(() => {}), 200)
        for (let i = 0; i < (when === 'middle' ? 1000 : 1); i++) yield '2\n'.repeat(10_000)
      }
      await expect(copyIn(session.sql, 'copy slow from stdin', rows())).rejects.toMatchObject({
        code: expect.stringMatching(/^(57P01|CONNECTION_CLOSED|ECONNRESET|EPIPE)$/),
      })
      await session.end()
    }
  })

  test('COPY after COPY works on one session, after a failed one too', async ({ session }) => {
    for (let i = 0; i < 200; i++) expect(await copyIn(session.sql, 'copy t from stdin', [`${i}\tx\n`])).toBe(1)
    for (let i = 0; i < 50; i++) {
      await expect(copyIn(session.sql, 'copy t from stdin', ['1\tx\n2'])).rejects.toMatchObject({ code: '22P04' })
      expect(await copyIn(session.sql, 'copy t from stdin', ['1\ty\n2\ty\n'])).toBe(2)
    }
  })

  test('takes no more from the source than the server does', async ({ session, sql }) => {
    await session.sql.unsafe(`
      create temporary table slow (a int, b text);
      create function pg_temp.f() returns trigger language plpgsql as
        $$ begin if new.a = 0 then perform pg_advisory_xact_lock(1); end if; return new; end $$;
      create trigger r before insert on slow for each row execute function pg_temp.f()`)
    const chunk = `1\t${'x'.repeat(1021)}\n`.repeat(64)
    let taken = 0
    function* rows() {
      yield '0\t\n'
      for (; taken < 800; taken++) yield chunk
    }
    const copied = await sql.begin(async (tx) => {
      await tx`select pg_advisory_xact_lock(1)`
      const copied = copyIn(session.sql, 'copy slow from stdin', rows())
      await expect.poll(() => taken).toBeGreaterThan(0)
      await sleep(500)
      // What the buffers of both sockets hold, of 50 MB.
      expect(taken).toBeLessThan(300)
      return { copied }
    })
    expect(await copied.copied).toBe(800 * 64 + 1)
  })
})
