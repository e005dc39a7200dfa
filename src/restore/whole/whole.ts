import { randomBytes } from 'node:crypto'
import type { Manifest } from '../../archive/manifest.ts'
import { at, type Connection } from '../../config/connection.ts'
import { AppError } from '../../errors.ts'
import type { Log } from '../../log.ts'
import type { Warning } from '../../plan.ts'
import { openSession } from '../../postgres/connect.ts'
import { mayGoWithoutEventTriggers } from '../../postgres/event-triggers.ts'
import { knowsLocale } from '../../postgres/locale-known.ts'
import type { Session } from '../../postgres/session.ts'
import type { Tools } from '../../programs/pgtools.ts'
import { type RestorePlan, restoreInto } from '../apply.ts'
import { reopener } from '../clean-up.ts'
import { fill } from '../fill.ts'
import { readTarget } from '../inspect.ts'
import { checkListPlace } from '../load.ts'
import { type Loading, loadingFor } from '../loading.ts'
import type { DumpSource } from '../source.ts'
import { withPropertiesOf } from '../swap/properties.ts'
import { type Replaceable, readReplaceable } from '../swap/read.ts'
import { findSwapRefusals } from '../swap/refusals.ts'
import { type SwapWorld, swapIn } from '../swap/swap.ts'
import { dropDatabase, sweepLeftovers } from '../sweep.ts'
import { findWholeProblems, type WholeProblem, wholeRefusal } from './problems.ts'

/** Where a whole database is imported to. It reads neither the environment nor the configuration. */
export type WholeTarget = {
  /** The database that gives way, which is empty. */
  into: string
  /** Roles that are declared: those that do not exist yet will. */
  declared: readonly string[]
  /** In `lock.database`; it holds the run lock of `into`. */
  lock: Session
  lockDatabase: string
  /** To the target server. */
  connection: Connection
  wait: { timeoutMs: number; patient: boolean }
  runId: string
  command: string
  warn(warning: Warning): void
  now(): Date
  log: Log
  signal: AbortSignal
}

/** A database that can be imported as far as that is known, with the properties of the one that gives way. */
export type CheckedWhole = { manifest: Manifest; replaceable: Replaceable }

/** Standbys of the target only have an empty database to lose. */
const allowed = { dropSlots: false, disableSubscriptions: false, standbysReconnect: true }

/**
 * Finds out everything that is known to fail, before anything is read or changed.
 * @param what is imported, for messages
 * @throws {AppError} `seed`, `refused` with all of it at once
 */
export async function checkWhole(
  manifest: Manifest,
  what: string,
  { into, lock, lockDatabase, declared }: Pick<WholeTarget, 'into' | 'lock' | 'lockDatabase' | 'declared'>,
): Promise<CheckedWhole> {
  const replaceable = await readReplaceable(lock.sql, into, lockDatabase)
  const { properties } = replaceable
  const complete = properties ? withPropertiesOf(manifest, properties) : manifest
  const read = await readTarget(lock.sql, complete, into)
  const target = { ...read, roles: [...read.roles, ...declared] }
  const locale = await knowsLocale(lock.sql, complete.database)
  const problems: WholeProblem[] = findWholeProblems(complete, { ...target, locale })
  if (properties)
    for (const { kind, reason, hint } of findSwapRefusals(replaceable.facts, allowed))
      if (!problems.some((known) => known.reason === reason))
        problems.push({ reason, hint, ...(kind === 'refused' && { refused: true as const }) })
  const problem = wholeRefusal(problems, what)
  if (problem) throw problem
  return { manifest: complete, replaceable }
}

export type WholeWork = CheckedWhole & {
  source: DumpSource
  /** What is imported, for messages: `import.url`. */
  what: string
  tools: Tools
  /** How many connections load it. */
  jobs: number
  onProgress(done: number, total: number): void
  /** Works in the loaded database, which nobody else can connect to: compares it, changes it, records in it. What it throws ends the import. */
  inCopy(session: Session, connect: (database: string) => Promise<Session>, login: string | undefined): Promise<void>
  /** Whether nothing is in the database that gave way: then it is dropped. */
  isEmpty(session: Session): Promise<boolean>
  onPublished(): void
}

/** `kept`: the name of the database that gave way, if it was not empty after all. */
export type WholeImported = { kept: string | undefined; waitedMs: number }

/**
 * Loads a whole database beside the one that gives way, has it worked on, and exchanges the two in one transaction. If anything fails, or
 * the process is killed, the target is what it was.
 *
 * @throws {AppError} `restore`, `refused`, `corrupt`, `unreachable`; what `inCopy` throws
 */
export async function importWhole(work: WholeWork, target: WholeTarget): Promise<WholeImported> {
  const { into, lock, lockDatabase, wait, runId, command, warn, now, log, signal } = target
  const { source, tools, what, jobs } = work
  const connection = at(target.connection, lock)
  checkListPlace()
  const { manifest } = work
  const loading: Loading = await loadingFor(lock, {
    ...source,
    manifest,
    wanted: { noOwner: false, noTablespaces: false, asSuperuser: false, part: everything },
  }).catch(withoutFlags)
  const withoutEventTriggers = await mayGoWithoutEventTriggers(lock)
  const connect = (database: string) =>
    openSession(connection, { database, applicationName: `pgbosun ${runId}`, withoutEventTriggers, log })
  await sweepLeftovers(lock.sql, connect, log)
  const plan = planOf(work, loading, target)
  const world: SwapWorld = {
    ...{ name: into, manifest, id: plan.story.id, lock, lockDatabase, connect },
    ...{ sessionUser: loading.rights.user, run: runId, now, warn, log, signal },
  }
  let imported: WholeImported | undefined
  await restoreInto(plan, {
    ...{ lock, rights: loading.rights, log, warn, signal, connect, run: { runId, command } },
    onPublished: work.onPublished,
    swap: {
      mark: (session) => work.inCopy(session, connect, undefined),
      async publish(copy, login) {
        const { replaced, waitedMs } = await swapIn(copy, login, { ...allowed, backUp: undefined }, world)
        imported = { kept: await dropped(replaced, work, world), waitedMs }
      },
    },
    load: (copy) =>
      fill(
        copy,
        { connection, manifest, tools, loading, jobs, proven: false },
        {
          ...source,
          ...{
            wanted: { noOwner: false, noTablespaces: false },
            runId,
            log,
            out: { warn },
            onProgress: work.onProgress,
          },
        },
      ),
    reopen: reopener({
      ...{ connection, into, wait, runId, command, log },
      lock: { database: lockDatabase },
    }),
    patienceMs: wait.timeoutMs,
  })
  log.debug({ what }, 'imported a whole database')
  return imported!
}

/** Nobody is there to choose a flag. */
function withoutFlags(error: unknown): never {
  if (!(error instanceof AppError) || error.kind !== 'refused') throw error
  throw error.with({ hint: 'import it as a user who may create roles, or as one who may only create databases' })
}

const everything = { schemas: [], tables: [], skipExtensions: [] }

/** Nobody has written into it since it gave way. @returns its name if it stays */
async function dropped(name: string, { isEmpty }: WholeWork, { lock, connect, warn }: SwapWorld) {
  try {
    const session = await connect(name)
    const empty = await isEmpty(session).finally(() => session.end())
    if (empty) await dropDatabase(lock.sql, name, connect)
    return empty ? undefined : name
  } catch (error) {
    warn(`the database that gave way is still there, as ${name}: ${(error as Error).message}`)
    return name
  }
}

const planOf = ({ manifest, what }: WholeWork, { load }: Loading, { into, runId, now }: WholeTarget): RestorePlan => ({
  ...{ manifest, into, noOwner: false, noTablespaces: false, keepGoing: false, isolated: load !== undefined, what },
  story: {
    ...{ pgbosun: 'import', id: randomBytes(4).toString('hex'), into, backup: manifest.id },
    ...{ database: manifest.database.name, run: runId, started_at: now().toISOString() },
  },
})
