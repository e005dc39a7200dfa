// pure
import { databaseObject } from '../postgres/lock-keys.ts'
import { cutName } from '../sql/quote.ts'

/** What a restore is doing, stored as JSON in the comment of the database it works in. */
export type Label = {
  /** `import`: of a whole database, in place of an empty one. */
  pgbosun: 'restore' | 'import'
  /** Eight random hexadecimal digits, different for each restore. */
  id: string
  /** The final name of the database. */
  into: string
  backup: string
  /** The database that was backed up. */
  database: string
  run: string
  started_at: string
  /** Subscriptions of the database `into` that were disabled for the exchange; they are to be enabled again if it did not take place. */
  disabled?: string[]
}

/** `<into cut to 40 bytes>__restore_<id>`: the name a database has while it is being restored; `…__import_<id>` while it is imported. */
export const workName = (into: string, id: string, kind: Label['pgbosun'] = 'restore') =>
  `${cutName(into)}__${kind}_${id}`

/** POSIX pattern of every {@link workName}. */
export const workPattern = '__(restore|import)_[0-9a-f]{8}$'

/** The login that a restore loads as: `pgbosun_restore_<CRC-32 of the new name, as in its lock>_<id>`. */
export const loginName = ({ into, id }: Pick<Label, 'into' | 'id'>) =>
  `pgbosun_restore_${(databaseObject(into) >>> 0).toString(16).padStart(8, '0')}_${id}`

/** POSIX pattern of every {@link loginName}. */
export const loginPattern = '^pgbosun_restore_[0-9a-f]{8}_[0-9a-f]{8}$'

/** The object of the run lock that the restore of a {@link loginName} holds. */
export const lockOfLogin = (name: string) => Number.parseInt(name.slice('pgbosun_restore_'.length).slice(0, 8), 16) | 0

/**
 * The {@link Label} of a database that a restore left behind; undefined for any other database, whatever its name.
 * @param comment of the database
 */
export function readLabel(name: string, comment: string | null): Label | undefined {
  const story = parseComment(comment)
  if (typeof story !== 'object' || story === null) return undefined
  const { pgbosun, id, into } = story as Partial<Label>
  const ours = (pgbosun === 'restore' || pgbosun === 'import') && typeof id === 'string' && typeof into === 'string'
  return ours && workName(into, id, pgbosun) === name ? (story as Label) : undefined
}

/** The names of the subscriptions in a story, whatever its comment says. */
export const disabledIn = ({ disabled }: { disabled?: unknown }): string[] =>
  Array.isArray(disabled) ? disabled.filter((name) => typeof name === 'string') : []

/** The JSON in a comment; undefined if it is none. */
export function parseComment(text: string | null): unknown {
  try {
    return JSON.parse(text ?? 'null')
  } catch {
    return undefined
  }
}
