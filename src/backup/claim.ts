import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Series } from '../archive/manifest.ts'
import { claimSlot, removeEarlierClaims } from '../archive/slot-claims.ts'
import { AppError } from '../errors.ts'
import type { Session } from '../postgres/session.ts'
import type { Store } from '../store/store.ts'
import { renderDuration } from '../units.ts'
import type { BackupOptions } from './options.ts'

/** A slot that is ours, as far as a store tells. */
export type ClaimedSlot = {
  /** The backup was made. Claims of earlier slots are removed. */
  made(): Promise<void>
  /** It was not: whoever tries next need not wait. */
  failed(): Promise<void>
}

const pollMs = 2_000

/**
 * Claims a slot in the first store that can refuse a second claim, so that two who hold different locks, of two lock databases or of two
 * copies of a server, make one backup. While somebody else has it, looks again and again whether the backup is there, as long as for a lock.
 * A store that fails forbids nothing: then the lock alone counts.
 *
 * @param made what was made for the slot in the meantime
 * @returns what was made, or the slot as ours
 * @throws {AppError} `locked` if somebody else still has it in the end
 */
export async function claimOrWait<T>(
  store: Store | undefined,
  { series, slot }: { series: Series; slot: Date | null },
  { lock, options, made }: { lock: Session; options: BackupOptions; made(): Promise<T | undefined> },
): Promise<{ made: T } | { ours: ClaimedSlot }> {
  const { log, signal, now, timeoutMs } = options
  const deadline = performance.now() + options.lock.timeoutMs
  if (!store || !slot) return { ours: unclaimed }
  const names = {
    lock: lockName(lock, options.lock.database),
    server: await runningServer(lock, options.lock.database),
  }
  for (;;) {
    const claimant = { ...names, now: now(), lastsMs: timeoutMs }
    const claim = await claimSlot(store, { series, slot }, claimant).catch((error: Error) => {
      signal.throwIfAborted()
      log.warn({ store: store.name, problem: error.message }, 'this store does not let the slot be claimed')
      return undefined
    })
    if (!claim) return { ours: unclaimed }
    if (claim.of === 'us')
      return {
        ours: { made: () => removeEarlierClaims(store, series, slot), failed: () => claim.release(now()) },
      }
    if (performance.now() > deadline) throw taken(slot, claim, options.lock.timeoutMs)
    log.debug({ slot: slot.toISOString(), lock: claim.lock, until: claim.until.toISOString() }, 'waiting for the slot')
    await sleep(pollMs, undefined, { signal }).catch(() => signal.throwIfAborted())
    const before = await made()
    if (before !== undefined) return { made: before }
  }
}

const unclaimed: ClaimedSlot = { made: async () => {}, failed: async () => {} }

/** The same host name leads elsewhere from another machine, where it is the machine itself. */
function lockName({ endpoint: { host, port } }: Session, database: string): string {
  const isHere = host.startsWith('/') || ['localhost', '::1'].includes(host) || host.startsWith('127.')
  return `${isHere ? `${hostname()}:` : ''}${host}:${port}/${database}`
}

/** A server that was started again has no locks of before, and a copy of it was started at another moment. A claim names its system identifier already. */
async function runningServer({ sql }: Session, database: string): Promise<string | undefined> {
  const [row] = await sql
    .unsafe<{ started: string }[]>(
      `select pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time())::pg_catalog.text as started`,
    )
    // it may be forbidden; a lost connection is noticed by what comes next
    .catch(() => [])
  return row && `${row.started}/${database}`
}

const taken = (slot: Date, { lock, until }: { lock: string; until: Date }, waitedMs: number) =>
  new AppError(
    'locked',
    `another process makes the backup for the slot ${slot.toISOString()}, with a lock at ${lock}; waited ${renderDuration(waitedMs)}`,
    {
      hint: `wait until it is done; if it is gone, its claim ends at ${until.toISOString()}`,
    },
  )
