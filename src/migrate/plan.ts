import type { Applied, Migration, MigrationPlan } from './types.ts'
import { findProblems, type HistoryPolicy, newestApplied, rowsAhead } from './verify.ts'

/**
 * Decides which files to apply. Steps are listed also when there are problems, so that a person sees both.
 *
 * @param files   by version
 * @param history by seq
 */
export function planMigrations(files: Migration[], history: Applied[], policy: HistoryPolicy): MigrationPlan {
  const rowOf = new Map(history.map((row) => [row.version, row]))
  const newest = newestApplied(history)
  const pending = files.filter(({ version }) => !rowOf.has(version))

  return {
    steps: pending.map((file) => ({
      ...file,
      reason: `${newest && file.version < newest.version ? `not applied yet, older than ${newest.name}` : 'not applied yet'}${
        file.transactional ? '' : ', outside a transaction'
      }`,
    })),
    problems: findProblems(files, history, policy),
    warnings: [
      ...aheadWarning(files, history, policy),
      ...files.flatMap((file) => renamedWarning(file, rowOf.get(file.version))),
    ],
    currentVersion: newest?.name,
    lastSeq: history.reduce((last, { seq }) => Math.max(last, seq), 0),
  }
}

function aheadWarning(files: Migration[], history: Applied[], { ahead }: HistoryPolicy): string[] {
  const names = rowsAhead(files, history).map(({ name }) => name)
  if (names.length === 0 || ahead !== 'warn') return []
  return [
    `the database is ahead of the files: ${names.slice(0, 3).join(', ')}${names.length > 3 ? ` and ${names.length - 3} more` : ''}`,
  ]
}

const renamedWarning = ({ name }: Migration, row: Applied | undefined) =>
  row && row.name !== name ? [`${name} was applied under the name ${row.name}`] : []
