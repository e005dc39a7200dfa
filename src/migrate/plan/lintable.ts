// pure
import type { Format } from '../../formats/format.ts'
import type { Migration } from '../../formats/types.ts'
import type { LintFile } from '../../lint/types.ts'
import { isUnsendable, planSending } from './sending.ts'

type LintedFormat = Pick<Format, 'native' | 'outside'>

/**
 * Migrations as input for the linter: the text that is sent, and how it is sent.
 * @param isPending whether a migration is known not to be applied yet
 */
export const lintFilesOf = (
  migrations: Migration[],
  format: LintedFormat,
  isPending: (migration: Migration) => boolean,
): LintFile[] => migrations.map((migration) => lintFileOf(migration, format, isPending(migration)))

function lintFileOf(migration: Migration, format: LintedFormat, pending: boolean): LintFile {
  const { name, path, line, text, transactional } = migration
  const foreign = format.native !== undefined
  const sending = planSending(migration, { foreign })
  // A refused file is linted in the mode that it was meant for: the rules report the same problem, with its place.
  const isWrapped = isUnsendable(sending) ? transactional && !foreign : sending.mode === 'wrapped'
  return {
    name,
    path,
    line,
    text: !isUnsendable(sending) && sending.mode === 'wrapped' ? sending.text : text,
    mode: isWrapped || (!isUnsendable(sending) && sending.mode === 'pieces' && !foreign) ? 'wrapped' : 'split',
    demanded: transactional,
    pending,
    ...(foreign && { outside: format.outside ?? '-- runs outside a transaction by itself' }),
  }
}
