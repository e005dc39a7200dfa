import { AppError } from '../errors.ts'
import { quoteLiteral } from '../sql/quote.ts'
import { renderAge } from '../units.ts'
import type { Db } from './db.ts'
import { parseSignature, type Signature, signatureIn } from './signature.ts'

/** Who holds an advisory lock. */
export type Holder = {
  /** Null for a prepared transaction, which has no session. */
  pid: number | null
  user: string
  /**
   * Its role can do everything ours can: it is our session user, a member of it, or a superuser. Its application_name proves nothing,
   * because any session can call itself pgbosun.
   */
  ours: boolean
  /** Whether it looks like a run of pgbosun. Only believed if it is also `ours`. */
  pgbosun: boolean
  /** Which process of pgbosun it is; undefined where that cannot be seen. */
  signature: Signature | undefined
  /** For people, as part of a sentence: who it is, and whether it is ours. */
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
  /** Where it connected from; null for a socket of the server's own machine, and where this user may not see it. */
  address: string | null
  gid: string | null
  age: number | null
  ours: boolean
  signature: string | null
}

const isOurs = (role: string) => `coalesce(pg_catalog.pg_has_role(${role}, me.oid, 'MEMBER'), false)`
const me = 'me as materialized (select oid from pg_catalog.pg_roles where rolname = session_user)'

/** Who holds a lock: of several, one that is not ours. Undefined if it was released in the meantime. Every user may run this. */
export async function readHolder(db: Db, lock: LockRows): Promise<Holder | undefined> {
  const [row] = await db.unsafe<Row[]>(
    `with ${me}
     select l.pid, coalesce(a.usename, x.owner) as "user", a.application_name as application, x.gid,
            pg_catalog.host(a.client_addr) as address, ${signatureIn('a.query')} as signature,
            extract(epoch from pg_catalog.clock_timestamp() - coalesce(a.backend_start, x.prepared))::int as age,
            ${isOurs('coalesce(a.usesysid, o.oid)')} as ours
       from me, pg_catalog.pg_locks l left join pg_catalog.pg_stat_activity a using (pid)
       left join pg_catalog.pg_prepared_xacts x on l.pid is null and x.transaction = (
              select t.transactionid from pg_catalog.pg_locks t
               where t.locktype = 'transactionid' and t.pid is null and t.virtualtransaction = l.virtualtransaction limit 1)
       left join pg_catalog.pg_roles o on o.rolname = x.owner
      where ${lock('l.granted')} and l.pid is distinct from pg_catalog.pg_backend_pid() order by ours, l.pid nulls last limit 1`,
  )
  return row && asHolder(row)
}

/** Quotes names and texts of other sessions, so that they cannot look like a sentence of ours. */
const quote = (text: string) => JSON.stringify(text)
const nameOf = (user: string | null) => (user === null ? '?' : /^[\p{L}\d_$.@-]+$/u.test(user) ? user : quote(user))
const userOf = ({ user, ours }: Pick<Row, 'user' | 'ours'>) =>
  `user ${nameOf(user)}${ours ? '' : ', who is not a pgbosun user'}`

function asHolder(row: Row): Holder {
  const signature = row.ours ? parseSignature(row.signature) : undefined
  return {
    pid: row.pid,
    user: row.user ?? '?',
    ours: row.ours,
    pgbosun: isRun(row),
    signature,
    ...(row.gid === null ? describeSession(row, signature) : describePrepared(row, row.gid)),
  }
}

const isRun = ({ ours, application }: Pick<Row, 'ours' | 'application'>) =>
  ours && (application ?? '').startsWith('pgbosun')

/** The address and the start of a session are not visible to every user. */
function describeSession(row: Row, signature: Signature | undefined): Pick<Holder, 'text' | 'statement'> {
  const { pid, application, address, age, ours } = row
  const run = isRun(row) ? /^pgbosun (?:backup )?([0-9a-f-]{36})$/.exec(application ?? '')?.[1] : undefined
  const where = [
    address !== null && `from ${address}`,
    age !== null && `connected for ${renderAge(1000 * age)}`,
    run !== undefined && !signature && `run ${run}`,
  ]
    .filter((part) => part !== false)
    .map((part) => `, ${part}`)
    .join('')
  const name = run === undefined ? application || 'a session without a name' : 'a run of pgbosun'
  return {
    text: ours
      ? `${signature ? `${describeProcess(signature)} (session ` : `${name} (`}pid ${pid}, ${userOf(row)}${where})${isRun(row) ? '' : ', which is not a pgbosun session'}`
      : `${userOf(row)} (pid ${pid}, calls itself ${quote(application ?? '')}${where})`,
    statement: `select pg_catalog.pg_terminate_backend(${pid});`,
  }
}

const describeProcess = ({ command, host, pid }: Signature) =>
  `\`pgbosun ${plain(command)}\` on host ${plain(host)}, process ${pid}`

const plain = (text: string) => (/^[\w .-]+$/.test(text) ? text : quote(text))

const describePrepared = (row: Row, gid: string): Pick<Holder, 'text' | 'statement'> => ({
  text: `the prepared transaction ${quote(gid)} of ${userOf(row)} (prepared ${renderAge(1000 * (row.age ?? 0))} ago)`,
  statement: `rollback prepared ${quoteLiteral(gid)};`,
})

/** What to do about a holder. @param flag whether it is the lock of `--take-lock`, and that was not given */
export function adviceOn(holder: Holder | undefined, flag: boolean): string {
  const log = holder?.signature ? `, whose log is on host ${plain(holder.signature.host)},` : ''
  if (!holder || holder.pgbosun) return `wait for that run${log} to finish, or raise lock.timeout`
  const end = `end it as an administrator: ${holder.statement}`
  if (holder.ours || holder.pid === null) return `if it should not be there, ${end}`
  return `if it should not be there, ${flag ? '`up` or `migrate` with --take-lock ends it; or ' : ''}${end}`
}

/** `who` is for people. */
type Ended = { pid: number; who: string; ours: boolean }

/**
 * Ends the sessions that hold a lock or queue for it.
 *
 * @param whose `others`: only those that are not ours; `all`: every session except this one
 * @returns whose sessions were ended
 * @throws {AppError} `refused` if this user may not end one, with the statement that an administrator can run
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
    const who = userOf({ user, ours })
    try {
      // Checked again, because the pid may belong to another session by now.
      const gone = await db.unsafe(
        `with ${me} select pg_catalog.pg_terminate_backend(pid) from (
           select distinct l.pid from me, ${rows} and l.pid = ${pid}) s`,
      )
      if (gone.length > 0) ended.push({ pid, who, ours })
    } catch (error) {
      throw mayNotEnd(error, `${who} (pid ${pid})`, pid, what)
    }
  }
  return ended
}

function mayNotEnd(error: unknown, who: string, pid: number, what: string): unknown {
  const { code, message } = error as { code?: string; message?: string }
  if (code !== '42501') return error
  return new AppError('refused', `${what} is held by ${who}, but this user may not end that session: ${message}`, {
    hint: `as a superuser, or a member of that role or of pg_signal_backend, run: select pg_catalog.pg_terminate_backend(${pid});`,
    sqlstate: code,
    cause: error,
  })
}
