// pure
import { databaseObject } from '../postgres/lock-keys.ts'
import { quoteIdent } from '../sql/quote.ts'
import { shellWord, visibleSql } from '../text.ts'
import { plural, renderBytes, someOf } from '../units.ts'

/** A database that a run of ours made for itself and could not remove, or that a restore replaced. */
export type Leftover = {
  database: string
  kind: 'restore' | 'import' | 'shadow' | 'replaced'
  /** What it was for: the new name of a restore or an import, the live database of a comparison, the name it had. */
  of: string
  /** Null if we may not know. */
  sizeBytes: number | null
  /** Subscriptions of the database `of` that are disabled until the next run with it enables them again. */
  disabled?: string[]
}

/** A database with a comment that says it is ours. */
export type Found = Omit<Leftover, 'kind' | 'of' | 'disabled'> & { comment: string | null }

/** What a comment says: what the database is for, and whose run lock is held while it is in use. Undefined: it is no story of ours. */
export type ReadStory = (
  database: string,
  comment: string | null,
) => (Pick<Leftover, 'kind' | 'of' | 'disabled'> & { lock?: string }) | undefined

/**
 * The databases that nobody is working on any more.
 * @param held objects of the run locks that are held now
 */
export function leftoversIn(found: Found[], held: readonly number[], readStory: ReadStory): Leftover[] {
  return found.flatMap(({ comment, ...more }) => {
    const story = readStory(more.database, comment)
    if (!story || (story.lock !== undefined && held.includes(databaseObject(story.lock)))) return []
    const { kind, of, disabled } = story
    return [{ ...more, kind, of, ...(disabled && disabled.length > 0 && { disabled }) }]
  })
}

const removedBy: Record<Exclude<Leftover['kind'], 'replaced'>, string> = {
  restore: 'the next restore removes it',
  import: 'the next import removes it',
  shadow: 'the next comparison with `check.shadow` removes it',
}

const madeBy: typeof removedBy = { restore: 'a restore into', import: 'an import into', shadow: 'a comparison with' }

/** The statement or the command that removes it. */
const removal = ({ database, kind, of }: Leftover) =>
  kind === 'replaced'
    ? `pgbosun restore --discard ${shellWord(database)} --database ${shellWord(of)}`
    : `drop database ${visibleSql(quoteIdent(database))} with (force)`

/** What `check` and `status` warn of. */
export function warningOf(leftover: Leftover): string {
  const { kind, of } = leftover
  if (kind === 'replaced')
    return `a restore of ${of} keeps what it replaced in the database ${sized(leftover)}: \`pgbosun restore --rollback\` brings the newest back, \`${removal(leftover)}\` drops it${stillDisabled(leftover)}`
  return `${madeBy[kind]} ${of} left the database ${sized(leftover)} behind: ${removedBy[kind]}, and so does \`${removal(leftover)}\`${stillDisabled(leftover)}`
}

/** What a run that was killed at the exchange did to the live database. */
const stillDisabled = ({ of, kind, disabled = [] }: Leftover): string =>
  disabled.length === 0
    ? ''
    : `. It left subscriptions of ${of} disabled: ${kind === 'replaced' ? 'both enable' : 'the next restore enables'} them again, and so ${plural(disabled.length, 'does', 'do')}, run there, ${someOf(
        disabled.map((name) => `\`alter subscription ${visibleSql(quoteIdent(name))} enable\``),
      )}`

/** Its name and size. */
export const sized = ({ database, sizeBytes }: Leftover): string =>
  sizeBytes === null ? database : `${database} (${renderBytes(sizeBytes)})`

/** For the JSON document. */
export const fieldsOf = (leftover: Leftover) => ({
  database: leftover.database,
  kind: leftover.kind,
  size_bytes: leftover.sizeBytes,
  remove: removal(leftover),
})
