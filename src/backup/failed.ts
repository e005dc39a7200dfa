import { failedKey, failedPrefix } from '../archive/layout.ts'
import type { AppError } from '../errors.ts'
import { putText } from '../store/pack.ts'
import type { Store } from '../store/store.ts'

/** What is recorded about a failed backup. */
export type Failure = {
  id: string
  database: string
  /** One of `backup.schedules`. */
  schedule?: string | undefined
  startedAt: Date
  failedAt: Date
  slot: Date | null
  error: AppError
}

const kept = 100

/** Records a failure in the store, and deletes the oldest records. */
export async function recordFailure(store: Store, failure: Failure): Promise<void> {
  const { id, database, schedule, startedAt, failedAt, slot, error } = failure
  const record = {
    id,
    database,
    ...(schedule !== undefined && { schedule }),
    slot: slot?.toISOString() ?? null,
    started_at: startedAt.toISOString(),
    failed_at: failedAt.toISOString(),
    kind: error.kind,
    message: error.message,
    hint: error.hint ?? null,
  }
  await putText(store, failedKey(database, id), `${JSON.stringify(record, undefined, 2)}\n`)
  const keys: string[] = []
  for await (const { key } of store.list(failedPrefix(database))) keys.push(key)
  for (const key of keys.sort().slice(0, -kept)) await store.delete(key)
}
