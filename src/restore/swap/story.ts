// pure
import { cutName } from '../../sql/quote.ts'
import { parseComment } from '../name.ts'
import type { Counters } from './counters.ts'

/**
 * What a database was before it was replaced, stored as JSON in its comment. `before`: a restore replaced it; `after`: a rollback did.
 */
export type Replaced = {
  pgbosun: 'replaced'
  kind: 'before' | 'after'
  /** Eight random hexadecimal digits, different for each swap. */
  id: string
  /** The name it had, which the database in its place has now. */
  of: string
  replaced_at: string
  /** The backup that was restored in its place, or was restored into this one. */
  backup: string
  run: string
  /** The backup of kind `before-restore` made just before the swap; null if a person went without. */
  backed_up: string | null
  /** Its own comment. */
  comment: string | null
  /** Its subscriptions that were disabled when it was replaced; they are enabled again if it comes back. */
  subscriptions?: string[]
  /** What the server had counted in it until then; null: unknown. */
  counters?: Counters | null
  /** Subscriptions of the database in its place that were disabled for an exchange with it; to be enabled again if that did not take place. */
  disabled?: string[]
}

/** `<name cut to 40 bytes>__before_<id>`: the name of a database after it was replaced. */
export const replacedName = ({ of, kind, id }: Pick<Replaced, 'of' | 'kind' | 'id'>) => `${cutName(of)}__${kind}_${id}`

/** POSIX pattern of every {@link replacedName}. */
export const replacedPattern = '__(before|after)_[0-9a-f]{8}$'

/** The {@link Replaced} of a database; undefined for any other database, whatever its name. @param comment of the database */
export function readReplaced(name: string, comment: string | null): Replaced | undefined {
  const story = parseComment(comment)
  if (typeof story !== 'object' || story === null) return undefined
  const { pgbosun, kind, id, of, replaced_at, backup, run, backed_up, comment: own } = story as Partial<Replaced>
  const ours =
    pgbosun === 'replaced' &&
    (kind === 'before' || kind === 'after') &&
    [id, of, backup, run].every((value) => typeof value === 'string') &&
    [backed_up, own].every((value) => value === null || typeof value === 'string') &&
    instantPattern.test(String(replaced_at))
  return ours && replacedName(story as Replaced) === name ? (story as Replaced) : undefined
}

const instantPattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
