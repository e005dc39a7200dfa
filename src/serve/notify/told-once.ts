import { isMarked } from '../../archive/marker.ts'
import { openStore } from '../../archive/open.ts'
import type { Loaded } from '../../config/load.ts'
import { getText, putText } from '../../store/pack.ts'
import type { Message } from './messages.ts'
import type { Target } from './targets.ts'

const windowMs = 3_600_000
/** The store may hang; then the message is more important. */
const storeMs = 3_000

/**
 * Tells a target of one kind of failure once an hour, whichever process it is that failed: the store has a note of it. Without a store that
 * has backups, or where it does not answer, it is told each time.
 */
export function tellOnce(
  loaded: Loaded,
  signal: AbortSignal,
): (target: Target, message: Message, tell: () => Promise<boolean>) => Promise<void> {
  return async (target, { condition: { name, database = '' } }, tell) => {
    const key = `notify/${target.name}.${name}.json`
    const store = openStore(loaded, signal)
    const inTime = <T>(work: Promise<T>) => Promise.race([work, late()]).catch(() => undefined)
    const noted = await inTime(
      isMarked(store).then(async (isOurs) => (isOurs ? toldAt(await getText(store, key), database) : 'no store')),
    )
    if (typeof noted === 'number' && Math.abs(Date.now() - noted) < windowMs) return
    if (!(await tell()) || noted === 'no store' || noted === undefined) return
    await inTime(
      putText(store, key, `${JSON.stringify({ schema_version: 1, database, at: new Date().toISOString() })}\n`),
    )
  }
}

const late = () =>
  new Promise<undefined>((resolve) => {
    setTimeout(() => resolve(undefined), storeMs)
  })

/** When it was told of that database, in milliseconds since 1970; 0 where it never was, or what is noted is not ours. */
function toldAt(text: string | undefined, database: string): number {
  try {
    const noted = JSON.parse(text ?? '{}') as { database?: unknown; at?: unknown }
    return noted.database === database && typeof noted.at === 'string' ? Date.parse(noted.at) || 0 : 0
  } catch {
    return 0
  }
}
