import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import type { Backup } from '../archive/backup.ts'
import { readBackups } from '../archive/catalog.ts'
import { withLease } from '../archive/lease.ts'
import type { Manifest } from '../archive/manifest.ts'
import { at, type Connection, describe } from '../config/connection.ts'
import { AppError } from '../errors.ts'
import { scratchPlace } from '../machine/scratch.ts'
import { ofOneKind } from '../plan.ts'
import { openSession } from '../postgres/connect.ts'
import { mayGoWithoutEventTriggers } from '../postgres/event-triggers.ts'
import { takeRunLock } from '../postgres/lock.ts'
import { databaseObject } from '../postgres/lock-keys.ts'
import { type Attempt, retryWhenLost } from '../postgres/retry.ts'
import type { Session } from '../postgres/session.ts'
import { readSystemIdentifier } from '../postgres/system.ts'
import { openWhenReady } from '../postgres/wait.ts'
import { findTools, type Tools } from '../programs/pgtools.ts'
import { quoteIdent, quoteLiteral } from '../sql/quote.ts'
import { visibleSql } from '../text.ts'
import { renderAgo } from '../units.ts'
import { isClosed, loginValidMs, type RestorePlan, restoreInto } from './apply.ts'
import { boundWarnings } from './bound.ts'
import { chooseFrom, wholeOf } from './chosen.ts'
import { reopener } from './clean-up.ts'
import type { Comparison } from './differences.ts'
import { fill } from './fill.ts'
import { findRefusals, refusal } from './guard.ts'
import { describeInPlace, readInPlaceNow } from './in-place/describe.ts'
import { type RestoredInPlace, restoreInPlace } from './in-place/in-place.ts'
import { readTarget } from './inspect.ts'
import { planJobs } from './jobs.ts'
import { asSuperuserFlag, checkListPlace } from './load.ts'
import { type Loading, loadingFor, loadingInPlace } from './loading.ts'
import type { Missing } from './missing.ts'
import type { RestoreOptions, WantedRestore } from './options.ts'
import { creatableRoles, withRoles } from './roles.ts'
import { isPartial, manifestOf } from './select.ts'
import { openDump, refuseIncomplete, refuseUnopened, trustedManifest } from './source.ts'
import { withPropertiesOf } from './swap/properties.ts'
import { describeReplaced } from './swap/refusals.ts'
import {
  describeSwap,
  differencesFrom,
  markHeld,
  readReplaceableNow,
  type Swapped,
  type SwapWorld,
  swapIn,
} from './swap/swap.ts'
import { sweepLeftovers } from './sweep.ts'

export type Restored = {
  manifest: Manifest
  comparison: Comparison
  /** What could not be restored, if it was to keep going. */
  missing: Missing[]
  createdRoles: string[]
  durationMs: number
  /** The only user that may connect, if everything belongs to it. */
  onlyFor: string | undefined
  swapped: Swapped | undefined
  /** What a restore in place did. */
  inPlace: Pick<RestoredInPlace, 'backedUp' | 'held'> | undefined
}

/**
 * Restores a backup into a new database, or in place of an existing one: complete, compared and then published under its name, or not at
 * all. If the connection is lost before the first change, waits and starts over.
 *
 * @throws {AppError} `nobackup`, `corrupt`, `backup` if the store cannot be read, `restore` if it is refused or fails
 */
export async function runRestore(options: RestoreOptions): Promise<Restored> {
  const { connection, source, store, keys, wait, lock, runId, command, log, signal } = options
  const backups = await readBackups(store, source, keys.secrets)
  if (backups.length === 0) chooseFrom(backups, undefined, options)
  const deadline = performance.now() + wait.timeoutMs
  const where = {
    applicationName: `pgbosun ${runId}`,
    command,
    log,
    signal,
    database: lock.database,
    deadline,
    ...wait,
  }
  return retryWhenLost({ deadline, signal, log }, async (attempt) => {
    const session = (await openWhenReady(connection, where))!
    try {
      return await restoreOn(session, attempt, backups, options)
    } finally {
      await session.end()
    }
  })
}

async function restoreOn(
  session: Session,
  attempt: Attempt,
  backups: Backup[],
  options: RestoreOptions,
): Promise<Restored> {
  const { store, out } = options
  const { backup, notes } = chooseFrom(backups, await readSystemIdentifier(session.sql), options)
  for (const note of notes) out.warn(note)
  options.onChosen(backup.id)
  return withLease(store, backup, options, () => restoreChosen(session, attempt, { backup, backups }, options))
}

async function restoreChosen(
  session: Session,
  attempt: Attempt,
  { backup, backups }: { backup: Backup; backups: Backup[] },
  options: RestoreOptions,
): Promise<Restored> {
  const { wanted, store, keys, search, out } = options
  const connection = at(options.connection, session)
  const trusted = trustedManifest(await wholeOf(options, backup))
  for (const warning of boundWarnings(manifestOf(trusted, wanted.part).extensions)) out.warn(warning)
  const withoutEventTriggers = await mayGoWithoutEventTriggers(session)
  const open = (database: string) => openFor(connection, database, options, withoutEventTriggers)
  const replaceable = await replaceableBy(session, trusted, options)
  const complete = replaceable ? withPropertiesOf(trusted, replaceable.properties) : trusted
  const needed = manifestOf(complete, wanted.part)
  const createRoles = await guard(session, needed, wanted)
  const tools = await findTools(session.serverVersion, search, 'pg_restore')
  await refuseIncomplete(store, needed)
  await refuseUnopened(options, needed)
  const source = { store, keys, manifest: needed, wanted }
  const inPlace = wanted.inPlace ? await loadingInPlace(session, source) : undefined
  const loading = inPlace ?? (await loadingFor(session, source))
  if (loading.load && !replaceable && !wanted.noOwner) await refuseNoInheritance(session.sql, needed, loading)
  const manifest = manifestOf(needed, wanted.part, loading.selection?.tables)
  for (const note of ofOneKind(loading.selection?.notes ?? [])) out.warn(note)
  if (loading.load ?? loading.selection) checkListPlace()
  if (wanted.asSuperuser)
    out.print(`trust    code in this backup runs with the rights of ${loading.rights.user} (${asSuperuserFlag})`)
  const age = renderAgo(options.now().getTime() - backup.takenAt.getTime())
  const where = describe({ ...connection, database: wanted.into })
  const how = inPlace
    ? 'in place, into the database'
    : replaceable
      ? 'in place of the database'
      : 'into the new database'
  const { jobs, note } = planJobs({
    ...{
      asked: inPlace ? 1 : wanted.jobs,
      cores: availableParallelism(),
      alone: wanted.keepGoing || isPartial(wanted.part),
    },
    ...{ dumpBytes: manifest.dump_size_bytes, place: await scratchPlace() },
  })
  if (note !== undefined) out.print(`jobs     ${note}`)
  if (createRoles.length > 0)
    out.print(`roles    are missing here, and will be created without login: ${createRoles.join(', ')}`)
  out.print(`restore  backup ${backup.id} of ${manifest.database.name}, taken ${age}, ${how} ${where}`)
  if (replaceable) {
    const swap = { connect: open, name: wanted.into, manifest }
    const lines = inPlace
      ? await describeInPlace(replaceable, { ...swap, toc: inPlace.load.head.toc, isolated: inPlace.isolated, wanted })
      : await describeSwap(replaceable, swap)
    const what = describeReplaced(replaceable.facts, {
      sizeBytes: replaceable.properties.size_bytes,
      newest: newestOf(backups, options.now()),
    })
    options.log.info({ database: wanted.into }, `about to be replaced: ${what}`)
    for (const line of [what, ...lines]) out.print(`${inPlace ? 'in place' : 'swap    '} ${line}`)
    for (const warning of differencesFrom(trusted, replaceable)) out.warn(warning)
  }
  await options.confirm()
  const noteChange = () => {
    attempt.changed = true
  }
  return underLock({ connection, session, manifest, tools, loading, jobs, noteChange }, options)
}

/**
 * A database is renamed by who inherits from its owner: known before the load, not at its end. From 16 on, a member may set a role and not
 * inherit from it.
 */
async function refuseNoInheritance(
  db: Session['sql'],
  { database: { owner } }: Manifest,
  { rights: { user, superuser } }: Loading,
): Promise<void> {
  if (superuser) return
  const rows = await db.unsafe(
    `select from pg_catalog.pg_roles where rolname = ${quoteLiteral(owner)} and not pg_catalog.pg_has_role(session_user, oid, 'USAGE')`,
  )
  if (rows.length > 0)
    throw new AppError(
      'refused',
      `the user ${user} is a member of ${owner}, which owned the database, but does not inherit from it; nothing was changed`,
      {
        hint: `grant ${visibleSql(quoteIdent(owner))} to ${visibleSql(quoteIdent(user))} with inherit true, connect as a superuser, or pass --no-owner`,
      },
    )
}

/** The newest backup that is none of the state before a restore, and its age. */
function newestOf(backups: Backup[], now: Date): string | undefined {
  const [newest] = backups
    .filter(({ series }) => series !== undefined && series.kind !== 'before-restore')
    .sort((a, b) => b.takenAt.getTime() - a.takenAt.getTime())
  return newest && `${newest.id}, taken ${renderAgo(now.getTime() - newest.takenAt.getTime())}`
}

/** The database to replace, if one is; @throws {AppError} `restore`, `refused` if it must not be replaced now */
const replaceableBy = async (
  { sql }: Session,
  manifest: Manifest,
  { wanted: { swap, inPlace, into }, lock }: RestoreOptions,
) =>
  inPlace
    ? readInPlaceNow(sql, { name: into, lockDatabase: lock.database })
    : swap && readReplaceableNow(sql, { name: into, lockDatabase: lock.database, manifest }, swap)

/** One more session, in which code of the application does not run by itself, where we may choose so. */
const openFor = (
  connection: Connection,
  database: string,
  { runId, log }: RestoreOptions,
  withoutEventTriggers: boolean,
) => openSession(connection, { database, applicationName: `pgbosun ${runId}`, withoutEventTriggers, log })

type Work = {
  loading: Loading
  jobs: number
  connection: Connection
  session: Session
  manifest: Manifest
  tools: Tools
  /** Call this before the first write. */
  noteChange(): void
}

async function underLock(work: Work, options: RestoreOptions): Promise<Restored> {
  const { connection, session, manifest, loading } = work
  const { wanted, lock, wait, runId, command, log, signal } = options
  const { into } = wanted
  const startedAt = performance.now()
  const { timeoutMs } = lock
  await takeRunLock(session.sql, databaseObject(into), `the lock of database ${into}`, { timeoutMs, log, signal })
  work.noteChange()
  const connect = (database: string) => openFor(connection, database, options, loading.withoutEventTriggers)
  await sweepLeftovers(session.sql, connect, log)
  // another run may have created the database while we waited
  const createRoles = await guard(session, manifest, wanted)
  const replaceable = await replaceableBy(session, manifest, options)
  const plan = { ...planOf(manifest, loading, options), createRoles }
  let swapped: Swapped | undefined
  let held = false
  const own = await readSystemIdentifier(session.sql)
  const { swap } = wanted
  const backUp = swap?.backupFirst ? () => options.backUp(own) : undefined
  if (wanted.inPlace) {
    const { head, plan: loadPlan } = loading.load!
    const { facts } = replaceable!
    // Much may have changed while somebody was asked.
    await describeInPlace(replaceable!, {
      connect,
      name: into,
      manifest,
      toc: head.toc,
      isolated: plan.isolated,
      wanted,
    })
    const { comparison, missing, ...inPlace } = await restoreInPlace(plan, {
      ...{ lock: session, rights: loading.rights, connect, log, signal, run: { runId, command }, connection, backUp },
      ...{ warn: options.out.warn, onPublished: options.onPublished, applicationName: `pgbosun ${runId}` },
      ...{ slots: facts.slots, lockTimeoutMs: timeoutMs, now: options.now, validMs: loginValidMs },
      load: {
        ...{ plan: loadPlan, head, tools: work.tools, noTablespaces: wanted.noTablespaces },
        dump: () => openDump(options, manifest),
        onBytes: (bytes) => options.onProgress(bytes, manifest.dump_size_bytes),
      },
    })
    const durationMs = Math.round(performance.now() - startedAt)
    return {
      ...{
        manifest,
        comparison,
        missing,
        createdRoles: createRoles,
        durationMs,
        onlyFor: undefined,
        swapped: undefined,
      },
      inPlace,
    }
  }
  const world: SwapWorld = {
    ...{ name: into, manifest, id: plan.story.id, lock: session, lockDatabase: lock.database, connect },
    ...{ sessionUser: loading.rights.user, run: runId, now: options.now, warn: options.out.warn, log, signal },
  }
  const { comparison, missing } = await restoreInto(plan, {
    ...(swap && {
      swap: {
        async mark(restored: Session) {
          held = await markHeld(restored, world)
        },
        async publish(work: string, login: string | undefined) {
          swapped = { ...(await swapIn(work, login, { ...swap, backUp }, world)), held }
        },
      },
    }),
    lock: session,
    rights: loading.rights,
    log,
    warn: options.out.warn,
    signal,
    run: { runId, command },
    connect,
    onPublished: options.onPublished,
    load: (into) => fill(into, work, options),
    reopen: reopener({ connection, into, lock, wait, runId, command, log }),
    patienceMs: wait.timeoutMs,
  })
  const durationMs = Math.round(performance.now() - startedAt)
  return {
    manifest,
    comparison,
    missing,
    createdRoles: createRoles,
    durationMs,
    onlyFor: isClosed(plan) ? loading.rights.user : undefined,
    swapped,
    inPlace: undefined,
  }
}

const planOf = (
  manifest: Manifest,
  { load, isolated = load !== undefined }: Loading & { isolated?: boolean },
  { wanted: { into, noOwner, noTablespaces, keepGoing }, runId, now }: RestoreOptions,
): RestorePlan => ({
  manifest,
  into,
  noOwner,
  noTablespaces,
  keepGoing,
  isolated,
  story: {
    pgbosun: 'restore',
    id: randomBytes(4).toString('hex'),
    into,
    backup: manifest.id,
    database: manifest.database.name,
    run: runId,
    started_at: now().toISOString(),
  },
})

/** @returns the roles to create */
async function guard(session: Session, manifest: Manifest, wanted: WantedRestore): Promise<string[]> {
  const { into, swap } = wanted
  const read = await readTarget(session.sql, manifest, into)
  const found = swap ? { ...read, exists: false } : read
  const created = wanted.createRoles ? creatableRoles(manifest, found) : []
  const target = withRoles(found, created, manifest.database.owner)
  const problem = refusal(findRefusals(manifest, wanted, target), { id: manifest.id, into })
  if (problem) throw problem
  return created
}
