// pure
import { AppError } from '../errors.ts'
import { visible } from '../text.ts'
import { counted, plural } from '../units.ts'
import { type Comparison, renderDifference } from './differences.ts'
import type { Missing } from './missing.ts'

/** What is missing in a restored database, one line for each. */
export const renderMissing = ({ differences }: Comparison, missing: Missing[]): string[] => [
  ...missing.map(({ object, problem }) => visible(`missing  ${object}: ${problem}`)),
  ...differences.map((difference) => visible(`rows     ${renderDifference(difference)}`)),
]

/** Exit 70: the database was kept, but it is not what was backed up. */
export function inPart(into: string, { differences }: Comparison, missing: Missing[]): AppError {
  const what = [
    ...(missing.length === 0 ? [] : [`${counted(missing.length, 'statement')} failed`]),
    ...(differences.length === 0
      ? []
      : [
          `${counted(differences.length, 'table')} ${plural(differences.length, 'has', 'have')} other rows than were backed up`,
        ]),
  ].join(', and ')
  return new AppError('restore', `the new database ${into} has only a part of the backup: ${what}`, {
    hint: 'the list above says what and why; take what you need from it, and do not use it in place of the original',
  })
}
