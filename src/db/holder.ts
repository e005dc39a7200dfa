import { AppError } from '../errors.ts'
import type { Db } from './sql.ts'

/** Who holds an advisory lock. */
export type Holder = {
  /** Null for a prepared transaction, which has no session. */
  pid: number | null
  user: string
  /**
   * Its role could do all that ours can: it is our session user, a member of it, or a superuser. What a session calls itself
   * says nothing: anybody may call itself pgbosun.
   */
  ours: boolean
  /** Whether it looks like one of our runs, which is believed of sessions that are ours only. */
  pgbosun: boolean
  /** For people, as part of a sentence: who it is, and that it is not ours. */
  text: string
  /** What an administrator runs to end it. */
  statement: string
}

/** Which rows `l` of pg_locks are the lock, held or waited for. SQL text. */
export type LockRows = (state: string) => string

type Row = {
  pid: number | null
  user: string | null
  application: string | null
  gid: string | null
  age: number | null
  ours: boolean
}

const isOurs = (role: string) => `coalesce(pg_catalog.pg_has_role(${role}, me.oid, 'MEMBER'), false)`
const me = 'me as materialized (select oid from pg_catalog.pg_roles where rolname = session_user)'

/** Who holds a lock, of several one that is not ours; undefined when it was given back in the meantime. Everybody may ask. */
export async function readHolder(db: Db, lock: LockRows): Promise<Holder | undefined> {
  const [row] = await db.unsafe<Row[]>(
    `with ${me}
     select l.pid, coalesce(a.usename, x.owner) as "user", a.application_name as application, x.gid,
            extract(epoch from pg_catalog.clock_timestamp() - coalesce(a.backend_start, x.prepared))::int as age,
            ${isOurs('coalesce(a.usesysid, o.oid)')} as ours
       from me, pg_catalog.pg_locks l left join pg_catalog.pg_stat_activity a using (pid)
       left join pg_catalog.pg_prepared_xacts x on l.pid is null and x.transaction = (
              select t.transactionid from pg_catalog.pg_locks t
               where t.locktype = 'transactionid' and t.pid is null and t.virtualtransaction = l.virtualtransaction limit 1)
       left join pg_catalog.pg_roles o on o.rolname = x.owner
      where ${lock('l.granted')} order by ours, l.pid nulls last limit 1`,
  )
  return row && asHolder(row)
}

const quote = (text: string) => JSON.stringify(text)

function asHolder({ pid, user, application, gid, age, ours }: Row): Holder {
  const pgbosun = ours && (application ?? '').startsWith('pgbosun')
  const who = `user ${user ?? '?'}${ours ? '' : ', who is not ours'}`
  const since =
    age === null ? '' : `${gid === null ? ', connected for' : ', prepared'} ${age} s${gid === null ? '' : ' ago'}`
  const session = ours
    ? `${application || 'a session without a name'} (pid ${pid}, ${who}${since})${pgbosun ? '' : ', which is no pgbosun session'}`
    : `${who} (pid ${pid}, calls itself ${quote(application ?? '')}${since})`
  return {
    pid,
    user: user ?? '?',
    ours,
    pgbosun,
    text:
      gid === null
        ? session
        : `the prepared transaction ${quote(gid)} of ${who}${since.replace(', ', ' (')}${since && ')'}`,
    statement:
      gid === null
        ? `select pg_catalog.pg_terminate_backend(${pid});`
        : `rollback prepared '${gid.replaceAll("'", "''")}';`,
  }
}

/** What to do about a holder. @param flag whether it is the lock of `--take-lock`, and that was not given */
export function adviceOn(holder: Holder | undefined, flag: boolean): string {
  if (!holder || holder.pgbosun) return 'wait for that runner to finish, or raise lock.timeout'
  const end = `end it as an administrator: ${holder.statement}`
  if (holder.ours || holder.pid === null) return `if it should not be there, ${end}`
  return `if it should not be there, ${flag ? '`up` or `migrate` with --take-lock ends it; or ' : ''}${end}`
}

type Ended = { pid: number; user: string; ours: boolean }

/**
 * Ends the sessions that hold a lock or queue for it.
 *
 * @param whose `others`: only those that are not ours; `all`: whoever it is but this session
 * @returns who was ended
 * @throws {AppError} `refused` when it may not, with what an administrator can run
 */
export async function endSessions(db: Db, lock: LockRows, what: string, whose: 'others' | 'all'): Promise<Ended[]> {
  const rows = `pg_catalog.pg_locks l join pg_catalog.pg_stat_activity a using (pid)
    where ${lock(whose === 'all' ? 'l.granted' : 'true')} and l.pid <> pg_catalog.pg_backend_pid()
      ${whose === 'all' ? '' : `and not ${isOurs('a.usesysid')}`}`
  const found = await db.unsafe<{ pid: number; user: string | null; ours: boolean }[]>(
    `with ${me} select distinct l.pid, a.usename as "user", ${isOurs('a.usesysid')} as ours from me, ${rows} order by l.pid`,
  )
  const ended: Ended[] = []
  for (const { pid, user, ours } of found) {
    const who = `user ${user ?? '?'}${ours ? '' : ', who is not ours'} (pid ${pid})`
    try {
      // Asked again: the number may belong to another session by now.
      const gone = await db.unsafe(
        `with ${me} select pg_catalog.pg_terminate_backend(pid) from (
           select distinct l.pid from me, ${rows} and l.pid = ${pid}) s`,
      )
      if (gone.length > 0) ended.push({ pid, user: user ?? '?', ours })
    } catch (error) {
      throw mayNotEnd(error, who, pid, what)
    }
  }
  return ended
}

function mayNotEnd(error: unknown, who: string, pid: number, what: string): unknown {
  const { code, message } = error as { code?: string; message?: string }
  if (code !== '42501') return error
  return new AppError('refused', `${what} is held by ${who}, and this user may not end that session: ${message}`, {
    hint: `it takes a superuser, a member of that role or of pg_signal_backend; as one of them: select pg_catalog.pg_terminate_backend(${pid});`,
    sqlstate: code,
    cause: error,
  })
}
