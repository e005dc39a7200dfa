import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import type { Manifest } from '../archive/manifest.ts'
import { hasReason } from '../errors.ts'
import { withScratch } from '../machine/scratch.ts'
import { takeRunLock } from '../postgres/lock.ts'
import { databaseObject } from '../postgres/lock-keys.ts'
import type { Session } from '../postgres/session.ts'
import { readSystemIdentifier } from '../postgres/system.ts'
import { isClosed, loginValidMs, type RestorePlan, restoreInto } from './apply.ts'
import { reopener } from './clean-up.ts'
import { asDeadlock } from './deadlock.ts'
import { fill } from './fill.ts'
import { describeInPlace } from './in-place/describe.ts'
import { restoreInPlace } from './in-place/in-place.ts'
import type { Loading } from './loading.ts'
import type { RestoreOptions } from './options.ts'
import { guard, replaceableBy } from './refuse.ts'
import { openDump, sameBeginning } from './source.ts'
import { markHeld, type Swapped, type SwapWorld, swapIn } from './swap/swap.ts'
import { sweepLeftovers } from './sweep.ts'
import { openFor, type Restored, type Work } from './work.ts'

/** What is known once the lock of the database is held. */
type Locked = {
  plan: RestorePlan & { createRoles: string[] }
  connect(database: string): Promise<Session>
  /** What is replaced: undefined for a new database. */
  replaceable: Awaited<ReturnType<typeof replaceableBy>>
  /** Makes the backup of what is replaced, where that was not declined. */
  backUp: (() => ReturnType<RestoreOptions['backUp']>) | undefined
}

/** Carries out what was prepared, under the lock of the database. @throws {AppError} as `runRestore` does */
export async function carryOut(work: Work, options: RestoreOptions): Promise<Restored> {
  const { session, manifest, loading, connection } = work
  const { wanted, lock, log, signal } = options
  const { into, swap, inPlace } = wanted
  const startedAt = performance.now()
  const what = `the lock of database ${into}`
  await takeRunLock(session.sql, databaseObject(into), what, { timeoutMs: lock.timeoutMs, log, signal })
  work.noteChange()
  const connect = (database: string) => openFor(connection, database, options, loading.withoutEventTriggers)
  await sweepLeftovers(session.sql, connect, log)
  // another run may have created the database while we waited
  const createRoles = await guard(session, manifest, wanted)
  const replaceable = await replaceableBy(session, manifest, options)
  const plan = { ...planOf(manifest, loading, options), createRoles }
  const own = await readSystemIdentifier(session.sql)
  const backUp = swap?.backupFirst ? () => options.backUp(own) : undefined
  const locked: Locked = { plan, connect, replaceable, backUp }
  const restored = inPlace ? await intoDatabase(work, locked, options) : await intoNewOrAgain(work, locked, options)
  return { ...restored, manifest, createdRoles: createRoles, durationMs: Math.round(performance.now() - startedAt) }
}

type Outcome = Omit<Restored, 'manifest' | 'createdRoles' | 'durationMs'>

/** Into the database itself, in one transaction. */
async function intoDatabase(
  { connection, session, manifest, loading, tools, proven }: Work,
  { plan, connect, replaceable, backUp }: Locked,
  options: RestoreOptions,
): Promise<Outcome> {
  const { wanted, lock, runId, command, log, signal, now, out, onPublished } = options
  const { head, plan: load } = loading.load!
  const toReplace = { connect, name: wanted.into, manifest, toc: head.toc, isolated: plan.isolated, wanted }
  // much may have changed while somebody was asked
  await describeInPlace(replaceable!, toReplace)
  const open = () => openDump(options, manifest)
  const loadFrom = (dump: () => AsyncIterable<Buffer>) =>
    restoreInPlace(plan, {
      ...{ lock: session, rights: loading.rights, connect, log, signal, run: { runId, command }, connection, backUp },
      ...{ warn: out.warn, onPublished, applicationName: `pgbosun ${runId}`, now, validMs: loginValidMs },
      ...{ slots: replaceable!.facts.slots, lockTimeoutMs: lock.timeoutMs },
      load: {
        ...{ plan: load, head, tools, noTablespaces: wanted.noTablespaces },
        dump,
        onBytes: (bytes) => options.onProgress(bytes, manifest.dump_size_bytes),
      },
    })
  const { comparison, missing, ...inPlace } = proven
    ? await withScratch(sameBeginning(open(), head), { signal, kind: 'restore' }, (path) =>
        loadFrom(() => createReadStream(path)),
      )
    : await loadFrom(open)
  return { comparison, missing, onlyFor: undefined, swapped: undefined, inPlace }
}

/** Connections that were in each other's way have left nothing behind: then one does it alone. */
async function intoNewOrAgain(work: Work, locked: Locked, options: RestoreOptions): Promise<Outcome> {
  try {
    return await intoNewDatabase(work, locked, options)
  } catch (error) {
    if (!hasReason(error, 'deadlock')) throw error
    options.log.warn({ problem: error.message }, 'trying again over one connection')
    return intoNewDatabase({ ...work, jobs: 1 }, locked, options)
  }
}

/** Into a new database, which then gets the name of the one that it replaces, if it replaces one. */
async function intoNewDatabase(
  work: Work,
  { plan, connect, backUp }: Locked,
  options: RestoreOptions,
): Promise<Outcome> {
  const { connection, session, manifest, loading } = work
  const { wanted, lock, wait, runId, command, log, signal, now, out, onPublished } = options
  const { into, swap } = wanted
  let swapped: Swapped | undefined
  let held = false
  const world: SwapWorld = {
    ...{ name: into, manifest, id: plan.story.id, lock: session, lockDatabase: lock.database, connect },
    ...{ sessionUser: loading.rights.user, run: runId, now, warn: out.warn, log, signal },
  }
  const { comparison, missing } = await restoreInto(plan, {
    ...(swap && {
      swap: {
        async mark(restored: Session) {
          held = await markHeld(restored, world)
        },
        async publish(copy: string, login: string | undefined) {
          swapped = { ...(await swapIn(copy, login, { ...swap, backUp }, world)), held }
        },
      },
    }),
    ...{
      lock: session,
      rights: loading.rights,
      log,
      warn: out.warn,
      signal,
      run: { runId, command },
      connect,
      onPublished,
    },
    load: (copy) =>
      fill(copy, work, options).catch(async (error) => {
        throw work.jobs > 1 ? await asDeadlock(error, session, copy.database) : error
      }),
    reopen: reopener({ connection, into, lock, wait, runId, command, log }),
    patienceMs: wait.timeoutMs,
  })
  return { comparison, missing, onlyFor: isClosed(plan) ? loading.rights.user : undefined, swapped, inPlace: undefined }
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
