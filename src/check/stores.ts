// pure
import type { Lacking } from '../archive/lacking.ts'

/** Which of several stores lack the newest backup of a database, and what to do; undefined if none does. */
export function judgeLacking(database: string, lacking: Lacking | undefined): string | undefined {
  if (!lacking || lacking.stores.length === 0) return undefined
  return `${lacking.stores.join(', ')} ${lacking.stores.length === 1 ? 'does' : 'do'} not have the newest backup of ${database}`
}

/** What fills such a store. */
export const lackingHint = '`pgbosun backup copy --to STORE` fills it; `serve` does so by itself'

/** Which of several stores cannot be read. */
export const judgeUnread = (lacking: Lacking | undefined): string[] =>
  (lacking?.unread ?? []).map(({ store, problem }) => `the store ${store} cannot be read: ${problem}`)
