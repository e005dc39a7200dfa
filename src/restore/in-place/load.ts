import type { TocEntry } from '../../archive/toc.ts'
import { AppError } from '../../errors.ts'
import type { Log } from '../../log.ts'
import { writeTemporary } from '../../machine/temporary.ts'
import type { Warning } from '../../plan.ts'
import { copyIn } from '../../postgres/copy.ts'
import type { Db } from '../../postgres/db.ts'
import type { Login } from '../../postgres/login.ts'
import type { Session } from '../../postgres/session.ts'
import { feedTool, howEnded, startTool } from '../../programs/child.ts'
import type { Tools } from '../../programs/pgtools.ts'
import { quoteIdent } from '../../sql/quote.ts'
import { analyze } from '../analyze.ts'
import { fillViews, grantExtensionData, handOverRest, makeOurs } from '../isolated.ts'
import { make } from '../missing.ts'
import { privilegeStatements } from '../owners.ts'
import type { LoadPlan } from '../plan.ts'
import { readSaid } from '../said.ts'
import { type Head, sameBeginning } from '../source.ts'
import type { LoadStep } from '../steps.ts'
import { type Watch, watchObjects } from '../tamper.ts'
import { sendRows } from './rows.ts'

/** A backup that is loaded in one open transaction. */
export type TransactionLoad = {
  plan: LoadPlan
  head: Head
  /** The whole dump. */
  dump: AsyncIterable<Buffer>
  tools: Tools
  /** The session with the transaction. Code of the application runs in it: as the login, if there is one. */
  session: Session
  /** Does our own statements in that transaction. */
  ours: Session['sql']
  /** Undefined: the session user loads everything. */
  login: Login | undefined
  user: string
  /** Gets what has no owner in the backup. */
  owner: string
  noTablespaces: boolean
  signal: AbortSignal
  onBytes(bytes: number): void
  log: Log
  warn(warning: Warning): void
}

/**
 * Loads everything of a backup but what is done last. Then the user that loads it still owns everything, and no policy hides a row.
 *
 * @throws the server's error, {AppError} `corrupt`, `restore`; the transaction is then to be rolled back
 */
export async function loadContents(load: TransactionLoad): Promise<void> {
  const { plan, session, login, ours, signal, warn } = load
  const { sql } = session
  if (login) await ours.unsafe(`grant all on schema public to ${quoteIdent(login.user)}`)
  const watch = login ? await watchObjects(ours, login.user, { shared: true }) : undefined
  for (const step of plan.before) await makeStep(step, load, watch)
  if (login) await grantExtensionData({ session: { sql: ours }, login })
  await watched(watch, plan.data, () => loadData(load))
  for (const step of plan.after) await makeStep(step, load, watch)
  await watched(watch, nothing, () =>
    fillViews(session, { plan, session: { sql: ours }, warn, signal, onMissing: undefined }),
  )
  // What code of the application put off until the commit is done now, before anything is counted.
  await watched(watch, nothing, () => sql.unsafe('set constraints all immediate'))
  await watched(watch, nothing, () => analyze(inSavepoints(sql), load))
}

/**
 * What a session of pg_restore sets, again before each step: code of the application may have changed it, and a text could then end its
 * literal.
 */
const settings = `set local search_path to pg_catalog, pg_temp; set local standard_conforming_strings to on; set local check_function_bodies to off;
  set local xmloption to content; set local row_security to off; set local client_min_messages to warning; set local default_tablespace to '';
  set local default_table_access_method to heap`

/** Ends what was loaded: policies, owners, privileges. Nothing in it runs code of the application. */
export async function finishContents(load: TransactionLoad): Promise<void> {
  const { plan, ours, head, login, owner, warn } = load
  const { finish } = plan
  for (const step of plan.policies) await makeStep(step, load, undefined)
  if (login) await ours.unsafe(`revoke all on schema public from ${quoteIdent(login.user)}`)
  const run = (list: readonly TocEntry[], statements: (entry: TocEntry) => string[]) =>
    inTurn(list, (entry) => make(entry, undefined, () => runEach(ours, statements(entry))))
  await run(finish.objects, ({ defn }) => [defn])
  await run(finish.remarks, ({ defn }) => [defn])
  await runEach(ours, finish.owners)
  await run(finish.privileges, (entry) => privilegeStatements(entry, head.toc.entries))
  if (login) await handOverRest({ session: { sql: ours }, login, owner, noOwner: false, warn })
}

/** The last of all: once they exist, they run. */
export async function createEventTriggers({ plan: { finish }, ours }: TransactionLoad): Promise<void> {
  await runEach(
    ours,
    finish.eventTriggers.map(({ defn }) => defn),
  )
  await runEach(ours, [...finish.eventTriggerRemarks.map(({ defn }) => defn), ...finish.eventTriggerOwners])
}

async function inTurn<T>(list: readonly T[], run: (one: T) => Promise<unknown>): Promise<void> {
  for (const one of list) await run(one)
}

const runEach = (db: Db, statements: readonly string[]) => inTurn(statements, (statement) => db.unsafe(statement))

async function makeStep(step: LoadStep, load: TransactionLoad, watch: Watch | undefined): Promise<void> {
  const { session, ours, login, user, signal } = load
  signal.throwIfAborted()
  const makeAsUs = (entries: TocEntry[]) =>
    makeOurs(entries, { session: { sql: ours }, login: login ?? { user, password: '' }, onMissing: undefined })
  if (step.by === 'us') return makeAsUs(step.entries)
  await session.sql.unsafe(settings)
  const create = async () => {
    for (const entry of step.entries) {
      signal.throwIfAborted()
      // The login may not create schemas: only who owns the database may, or was granted that.
      if (entry.desc === 'SCHEMA') await makeAsUs([entry])
      else await make(entry, undefined, () => runEach(session.sql, statementsOf(entry, load)))
    }
  }
  return step.runsCode ? watched(watch, step, create) : create()
}

/** As pg_restore does it. */
function statementsOf({ desc, defn, tablespace }: TocEntry, { noTablespaces }: TransactionLoad): string[] {
  if (desc === 'BLOB METADATA') return (defn.match(/\d+/g) ?? []).map((oid) => `select pg_catalog.lo_create('${oid}')`)
  if (defn.trim() === '') return []
  if (tablespace === '' || noTablespaces) return [defn]
  return [`set local default_tablespace to ${quoteIdent(tablespace)}`, defn, `set local default_tablespace to ''`]
}

const nothing = { relations: [], creates: false }

async function watched(
  watch: Watch | undefined,
  expected: Pick<LoadStep, 'relations' | 'creates'>,
  run: () => Promise<unknown>,
): Promise<void> {
  await watch?.look()
  await run()
  await watch?.compare(expected)
}

const withRows = new Set(['TABLE DATA', 'BLOBS'])

/** pg_restore reads the archive and writes its rows as text; it is not connected to anything. */
async function loadData(load: TransactionLoad): Promise<void> {
  const { plan, tools, head, dump, session, signal, onBytes } = load
  const entries = plan.data.entries.filter(({ desc }) => withRows.has(desc))
  const list = entries.map(({ id }) => `${id};\n`).join('')
  const { paths, remove } = writeTemporary({ list }, { what: 'the list of entries for pg_restore', kind: 'restore' })
  const tool = startTool(tools, 'pg_restore', ['--file=-', '--exit-on-error', `--use-list=${paths.list}`])
  const stop = () => void tool.kill()
  signal.addEventListener('abort', stop)
  try {
    const [fed, sent] = await Promise.allSettled([
      feedTool(tool, sameBeginning(dump, head), { signal, onBytes }).catch((error) => {
        // pg_restore would wait for the rest for ever, and everybody for the locks of this transaction
        stop()
        throw error
      }),
      sendRows(tool.stdout, {
        copy: (statement, rows) => copyIn(session.sql, statement, rows),
        run: (statement) => session.sql.unsafe(statement),
      }).catch((error) => {
        // pg_restore must not wait for somebody who reads no more; the dump is still read to its end, to know whether it is whole
        tool.stdout.destroy()
        throw error
      }),
    ])
    signal.throwIfAborted()
    if (fed.status === 'rejected') throw fed.reason
    if (sent.status === 'rejected') throw sent.reason
    const ended = await tool.ended
    const tables = entries.filter(({ desc }) => desc === 'TABLE DATA').length
    if (ended.code !== 0) throw decodingFailed(tools, ended)
    if (sent.value !== tables)
      throw new AppError('restore', `pg_restore wrote the rows of ${sent.value} of ${tables} tables`, {
        hint: 'restore with --into NEW, or by a swap (without --in-place)',
      })
  } finally {
    signal.removeEventListener('abort', stop)
    await tool.kill()
    remove()
  }
  for (const entry of plan.data.entries.filter(({ desc }) => !withRows.has(desc)))
    await make(entry, undefined, () => runEach(session.sql, statementsOf(entry, load)))
}

function decodingFailed(
  { version }: Tools,
  ended: { code: number | null; signal: NodeJS.Signals | null; stderr: string },
) {
  const { how, hint } = howEnded(ended)
  const { message } = readSaid(ended.stderr)
  return new AppError('restore', `pg_restore ${version} ${message === undefined ? how : `failed: ${message}`}`, {
    hint: hint ?? 'try another backup: `pgbosun backup list`',
  })
}

/** A table that cannot be analysed must not end the transaction. */
const inSavepoints = (sql: Db): Db =>
  ({
    async unsafe(statement: string) {
      if (!statement.startsWith('analyze ')) return sql.unsafe(statement.replace(/^set /, 'set local '))
      await sql.unsafe('savepoint analysing')
      try {
        return await sql.unsafe(statement)
      } catch (error) {
        await sql.unsafe('rollback to savepoint analysing')
        throw error
      } finally {
        await sql.unsafe('release savepoint analysing').catch(() => {})
      }
    },
  }) as unknown as Db
