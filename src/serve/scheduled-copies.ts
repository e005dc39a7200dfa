import { createHash } from 'node:crypto'
import type { Backup } from '../archive/backup.ts'
import { type Catalog, partsOf } from '../archive/catalog-type.ts'
import type { Context } from '../run/context.ts'
import { until } from '../store/until.ts'
import { copyOne, lackingIn } from '../up/copies.ts'
import type { CopyingOptions, Wanted } from './copying.ts'

/** Fills the stores that lack backups, with what the scheduler has read of them. */
export function scheduledCopies(context: Context, catalog: Catalog): Pick<CopyingOptions, 'lackingOf' | 'copy'> {
  const lacking = rememberedLacking(context, catalog)
  return {
    lackingOf: (database) =>
      (catalog.parts ?? [])
        .filter((part) => !catalog.store.several?.unread.has(part.store))
        .flatMap((part) => lacking(database, part).map((id) => ({ database, id, store: part.store.name }))),
    copy: (wanted) => copyMissing(context, catalog, wanted),
  }
}

const planAgainMs = 600_000

/** What a store lacks, planned again where something has changed, or some time has passed: for thousands of backups that takes a second. */
function rememberedLacking(context: Context, catalog: Catalog): (database: string, part: Catalog) => string[] {
  const plans = new Map<string, { about: string; atMs: number; ids: string[] }>()
  return (database, part) => {
    const key = JSON.stringify([part.store.name, database])
    const about = digestOf(catalog.known(database), part.known(database))
    const before = plans.get(key)
    if (before?.about === about && performance.now() - before.atMs < planAgainMs) return before.ids
    const ids = lackingIn(context, catalog, { database, part }).map(({ id }) => id)
    plans.set(key, { about, atMs: performance.now(), ids })
    return ids
  }
}

/** Of all that decides what is copied, but for the time. */
function digestOf(...lists: Backup[][]): string {
  const hash = createHash('sha256')
  for (const backups of lists) {
    for (const { id, problem, verification, pinned } of backups)
      hash.update(`${id} ${problem === undefined} ${verification?.ok} ${pinned}\n`)
    hash.update('\n')
  }
  return hash.digest('hex')
}

async function copyMissing(context: Context, catalog: Catalog, { database, id, store }: Wanted): Promise<void> {
  const part = partsOf(catalog).find((one) => one.store.name === store)!
  // it may have been copied since, by another process
  await part.recent(database)
  if (part.known(database).some((backup) => backup.id === id && backup.verification?.ok)) return
  const { log, loaded } = context
  const late = AbortSignal.timeout(Math.min(loaded.config.backup.timeout, 2 ** 31 - 1))
  const signal = AbortSignal.any([context.signal, late])
  const to = until(part.store, signal)
  const copied = await copyOne({ ...context, signal }, { database, id }, { catalog, to })
  await part.update(database)
  log.info({ database, id, store, size_bytes: copied.sizeBytes }, 'copied a backup to the store that lacked it')
}
