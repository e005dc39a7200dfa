import type { TocEntry } from '../archive/toc.ts'
import { type Connection, loggedInAs } from '../config/connection.ts'
import { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Warning } from '../plan.ts'
import { openSession } from '../postgres/connect.ts'
import type { Db } from '../postgres/db.ts'
import { endSessions, type Login } from '../postgres/login.ts'
import { isConnectionLost } from '../postgres/lost.ts'
import type { Session } from '../postgres/session.ts'
import { inTransaction } from '../postgres/transaction.ts'
import { classify } from '../postgres/wait.ts'
import { quoteIdent, quoteLiteral, quoteName } from '../sql/quote.ts'
import { counted, plural, someOf } from '../units.ts'
import { analyze } from './analyze.ts'
import { loginRefused } from './isolation.ts'
import { type LoadOptions, loadEntries } from './load.ts'
import { make, runStatements } from './missing.ts'
import { ownerStatement, privilegeStatements } from './owners.ts'
import type { LoadPlan } from './plan.ts'
import { drain, type Head, sameBeginning } from './source.ts'
import type { LoadStep } from './steps.ts'
import { type Watch, watchObjects } from './tamper.ts'

/** Where and how a dump is loaded by a login created for it. */
export type IsolatedLoad = Omit<LoadOptions, 'connection'> & {
  plan: LoadPlan
  head: Head
  /** Opens the whole dump. */
  open(): AsyncIterable<Buffer>
  login: Login
  connection: Connection
  /** Our own session, in the new database, which belongs to the login. */
  session: Pick<Session, 'sql'>
  /** Owner of the database, who also gets objects without an owner in the backup. */
  owner: string
  /** Whether the session user is one. */
  superuser: boolean
  log: Log
  /** Warns a person about a difference from what was backed up. */
  warn(warning: Warning): void
  /**
   * For a database that is dropped afterwards: looks at it as the login, which still owns everything, before a policy hides a row. Then
   * the load ends without owners, privileges, and what could act by itself (see `finish` of the plan).
   */
  tryOut?: ((asLogin: Session) => Promise<void>) | undefined
}

/**
 * Loads a dump so that no code in it has more rights than a login that owns the new database: the login creates everything that it may
 * create, in a session of pg_restore. In the end, only the database belongs to it.
 *
 * @throws {AppError} `corrupt`, `restore`, `refused`
 */
export async function loadIsolated(load: IsolatedLoad): Promise<void> {
  const { plan, session } = load
  let whole = false
  try {
    await prepare(load)
    const watch = await watchObjects(session.sql, load.login.user)
    const asLogin = await openAsLogin(load)
    try {
      for (const step of plan.before) await makeStep(step, load, watch)
      await grantExtensionData(load)
      await loadData(load, watch)
      whole = true
      for (const step of plan.after) await makeStep(step, load, watch)
      await watched(watch, nothing, () => fillViews(asLogin, load))
      await watched(watch, nothing, () => analyze(asLogin.sql, load))
      await load.tryOut?.(asLogin)
      for (const step of plan.policies) await makeStep(step, load, watch)
    } finally {
      await asLogin.end()
    }
    if (load.tryOut) return
    await endSessions(session.sql, load.login.user)
    await finish(load)
  } catch (error) {
    load.signal.throwIfAborted()
    // The cause may be a damaged dump. That is only known once the dump has been read to its end.
    if (!whole && !isConnectionLost(error)) await drain(load.open(), load.signal)
    throw error
  }
}

/** The settings that pg_restore uses in its own sessions. */
const settings = ['set check_function_bodies to off', 'set xmloption to content', 'set row_security to off']

async function prepare({ session, plan, login }: IsolatedLoad): Promise<void> {
  const { sql } = session
  await sql.unsafe(settings.join('; '))
  for (const tablespace of plan.tablespaces)
    await sql.unsafe(`grant create on tablespace ${quoteIdent(tablespace)} to ${quoteIdent(login.user)}`)
}

const connectionOf = ({ connection, login }: IsolatedLoad): Connection => loggedInAs(connection, login)

/** Also proves that the server accepts the login, before anything is loaded. */
async function openAsLogin(load: IsolatedLoad): Promise<Session> {
  const { database, applicationName, log, signal } = load
  const connection = connectionOf(load)
  try {
    return await openSession(connection, { database, applicationName, log, endWith: signal })
  } catch (error) {
    const { error: refused } = classify(error, 'the server', connection)
    throw refused.kind === 'refused' ? loginRefused(refused.message, error) : error
  }
}

async function makeStep(step: LoadStep, load: IsolatedLoad, watch: Watch): Promise<void> {
  load.signal.throwIfAborted()
  if (step.by === 'us') return makeOurs(step.entries, load)
  const { onBytes: _, file, ...options } = load
  // Indexes and constraints take longest after the rows. Nothing else is made side by side.
  const inParallel = step.runsCode && !step.creates && step.entries.length > 1 ? file : undefined
  const create = () =>
    loadEntries(beginning(load.head), step.entries, {
      ...{ ...options, file: inParallel },
      connection: connectionOf(load),
    })
  return step.runsCode ? watched(watch, step, create) : create()
}

async function* beginning({ bytes }: Head): AsyncGenerator<Buffer> {
  yield bytes
}

async function watched(
  watch: Watch,
  expected: Pick<LoadStep, 'relations' | 'creates'>,
  run: () => Promise<void>,
): Promise<void> {
  await watch.look()
  await run()
  await watch.compare(expected)
}

const nothing = { relations: [], creates: false }

const loadData = (load: IsolatedLoad, watch: Watch): Promise<void> =>
  watched(watch, load.plan.data, () =>
    loadEntries(sameBeginning(load.open(), load.head), load.plan.data.entries, {
      ...load,
      connection: connectionOf(load),
    }),
  )

/** Creates what only the session user may create, and gives it to the login in the same transaction, so that its code never runs with our rights. */
export async function makeOurs(
  entries: TocEntry[],
  { session, login, onMissing }: Pick<IsolatedLoad, 'session' | 'login' | 'onMissing'>,
): Promise<void> {
  for (const entry of entries)
    await make(entry, onMissing, () =>
      inTransaction(session.sql, async (tx) => {
        const handOver = keptOurs.has(entry.desc) ? [] : ownerStatement(entry, login.user)
        await tx.unsafe([entry.defn, ...handOver].join('\n'))
      }),
    )
}

/** Their owner has to be a superuser. */
const keptOurs = new Set(['FOREIGN DATA WRAPPER', 'PROCEDURAL LANGUAGE'])

/** Tables of extensions belong to us, but some of them contain rows of the application. */
export async function grantExtensionData({ session, login }: Pick<IsolatedLoad, 'session' | 'login'>): Promise<void> {
  const to = quoteLiteral(login.user)
  await session.sql.unsafe(`do $$ declare r record; begin
    for r in select pg_catalog.format('%I.%I', n.nspname, c.relname) as name, n.nspname as schema, c.relkind as kind
               from pg_catalog.pg_extension e, pg_catalog.unnest(e.extconfig) x (oid)
               join pg_catalog.pg_class c on c.oid = x.oid join pg_catalog.pg_namespace n on n.oid = c.relnamespace loop
      execute pg_catalog.format('grant usage on schema %I to %I', r.schema, ${to});
      execute pg_catalog.format('grant %s on %s to %I', case r.kind when 'S' then 'usage, select, update' else 'select, insert' end, r.name, ${to});
    end loop; end $$`)
}

/** Views that would query another server stay empty: nobody has a user mapping yet, and a restore must not need another server. */
export async function fillViews(
  asLogin: Pick<Session, 'sql'>,
  { plan, session, warn, signal, onMissing }: Pick<IsolatedLoad, 'plan' | 'session' | 'warn' | 'signal' | 'onMissing'>,
): Promise<void> {
  if (plan.views.length === 0) return
  const far = await viewsOfOthers(session.sql)
  for (const entry of plan.views) {
    signal.throwIfAborted()
    const view = quoteName(entry.namespace, entry.tag)
    if (far.has(view)) warn(`the materialised view ${view} reads foreign tables, so it was left empty: refresh it`)
    else
      await make(entry, onMissing, () =>
        asLogin.sql.unsafe(`set row_security to off; refresh materialized view ${view}`),
      )
  }
}

/** Materialised views that read a foreign table, directly or through other views. */
async function viewsOfOthers(db: Db): Promise<Set<string>> {
  const rows = await db.unsafe<{ namespace: string; name: string }[]>(`
    with recursive reads as (
      select r.ev_class as reader, d.refobjid as read from pg_catalog.pg_rewrite r
        join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = r.oid and d.refclassid = 'pg_catalog.pg_class'::regclass
       where d.refobjid <> r.ev_class
      union select inhparent, inhrelid from pg_catalog.pg_inherits),
    far (oid) as (
      select oid from pg_catalog.pg_class where relkind = 'f'
      union select reads.reader from reads join far on far.oid = reads.read)
    select n.nspname as namespace, c.relname as name from far join pg_catalog.pg_class c using (oid)
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.relkind = 'm' order by 1, 2`)
  return new Set(rows.map(({ namespace, name }) => quoteName(namespace, name)))
}

/** Sets owners and privileges, and creates what only the session user may create, with event triggers last. None of it runs code of the application. */
async function finish(load: IsolatedLoad): Promise<void> {
  const { plan, session, head, login, owner, superuser, noOwner, database, onMissing } = load
  const { finish } = plan
  const { sql } = session
  for (const entry of finish.objects) await make(entry, onMissing, () => sql.unsafe(entry.defn))
  await runStatements(
    sql,
    finish.remarks.map(({ defn }) => defn),
    onMissing,
  )
  // A user that is not a superuser may only give objects to a role that may create in their schema: in public, the owner of the database.
  if (!superuser && !noOwner) await sql.unsafe(`alter database ${quoteIdent(database)} owner to ${quoteIdent(owner)}`)
  await runStatements(sql, finish.owners, onMissing)
  await runStatements(
    sql,
    finish.privileges.flatMap((entry) => privilegeStatements(entry, head.toc.entries)),
    onMissing,
  )
  await handOverRest(load)
  await sql.unsafe(`drop owned by ${quoteIdent(login.user)}`)
  const last = [finish.eventTriggers, finish.eventTriggerRemarks].flat().map(({ defn }) => defn)
  await runStatements(sql, [...last, ...finish.eventTriggerOwners], onMissing, 1)
}

/**
 * Gives objects without an owner in the archive to the owner of the database.
 * @throws {AppError} `restore` for objects that code in the archive created: they must not belong to somebody with more rights
 */
export async function handOverRest({
  session,
  login,
  owner,
  noOwner,
  warn,
}: Pick<IsolatedLoad, 'session' | 'login' | 'owner' | 'noOwner' | 'warn'>): Promise<void> {
  const { sql } = session
  const rows = await sql.unsafe<{ what: string; runs: boolean }[]>(
    `select pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) as what,
            d.classid in ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_class'::regclass, 'pg_catalog.pg_namespace'::regclass) as runs
       from pg_catalog.pg_shdepend d
      where d.refclassid = 'pg_catalog.pg_authid'::regclass and d.deptype = 'o'
        and d.refobjid = (select oid from pg_catalog.pg_roles where rolname = ${quoteLiteral(login.user)})
        and d.dbid = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()) order by runs desc, 1`,
  )
  if (rows.length === 0) return
  const shown = someOf(
    rows.map(({ what }) => what),
    '; ',
  )
  if (!noOwner && rows[0]?.runs)
    throw new AppError(
      'restore',
      `while the backup was loaded, its code created objects that are not in it: ${shown}`,
      {
        report: { objects: rows.map(({ what }) => what) },
        hint: 'find out what that code is for: it ran while tables were filled',
      },
    )
  if (!noOwner)
    warn(
      `${counted(rows.length, 'object')} without an owner in the backup now ${plural(rows.length, 'belongs', 'belong')} to ${owner}: ${shown}`,
    )
  await sql.unsafe(`reassign owned by ${quoteIdent(login.user)} to ${quoteIdent(owner)}`)
}
