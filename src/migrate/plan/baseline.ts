// pure
import { AppError, usage } from '../../errors.ts'
import type { Applied, Migration } from '../../formats/types.ts'
import { shellWord } from '../../text.ts'
import type { History, MigrationPlan } from '../types.ts'
import { findMigration, planMigrations } from './plan.ts'
import { type HistoryPolicy, isDone, isResumable } from './verify.ts'

export type BaselineOptions = {
  policy: HistoryPolicy
  /** Whether the format's tool has its own mark that stands for all versions up to it. */
  marks: boolean
}

/** Either the `steps` of the plan are recorded without being run, or `mark` is written and the plan has no steps. */
export type BaselinePlan = { plan: MigrationPlan; mark: Migration | undefined }

/**
 * Decides how to record everything up to a version as applied. There is nothing to do if it is already.
 *
 * @param files   all of the folder, in the format's order
 * @param version that of a migration; or any version, if the tool has a mark
 * @throws {AppError} `usage` if there is no such migration; `history` if a newer one is already applied, one did not finish,
 *   or the tool would refuse because its history is not empty
 */
export function planBaseline(
  files: Migration[],
  history: History,
  options: BaselineOptions,
  version: string,
): BaselinePlan {
  const { policy, marks } = options
  const target = findMigration(files.filter(isVersioned), version) ?? (marks ? versionAlone(version) : undefined)
  if (!target)
    throw usage(`there is no migration ${version}`, {
      hint: 'name the version of the newest file that the database already contains',
    })
  if (marks) return { plan: noSteps(history), mark: markFor(target, history, policy) }

  refuseUnfinished(history.applied)
  refuseNewer(target, history.applied, policy)
  const plan = planMigrations(files, history, policy, { to: target.id, fake: true })
  const steps = plan.steps.filter(isVersioned)
  const recorded = new Set(steps.map(({ name }) => name))
  // Migrations that are now recorded are no longer out of order.
  const problems = plan.problems.filter(({ code, name }) => code !== 'out-of-order' || !recorded.has(name))
  return { plan: { ...plan, steps, problems }, mark: undefined }
}

const isVersioned = ({ kind }: Pick<Migration, 'kind'>) => kind === 'versioned'

const noSteps = ({ lastSeq, lastDetail }: History): MigrationPlan => ({
  ...{ steps: [], problems: [], warnings: [], currentVersion: undefined },
  ...{ lastSeq, lastDetail },
})

/** A version without a file: an existing database may start with one that never had a file. */
function versionAlone(version: string): Migration | undefined {
  if (!/^\d+([._]\d+)*$/.test(version) || version.length > longestVersion) return undefined
  const written = version.replaceAll('_', '.')
  const script = { path: '', text: '', line: 1, transactional: true }
  return {
    id: written,
    name: written,
    kind: 'versioned',
    sha256: '',
    checksum: null,
    native: { version: written },
    ...script,
  }
}

/** In characters: that of the column in the history of Flyway, the only tool with such a mark. */
const longestVersion = 50

/** Only an empty history gets a mark. If it already has the same mark, there is nothing to do. */
function markFor(
  target: Migration,
  { applied, repeated }: History,
  { compare, format }: HistoryPolicy,
): Migration | undefined {
  const [first, ...others] = [...applied, ...repeated]
  if (!first) return target
  if (first.status === 'baseline' && others.length === 0 && compare(first.id, target.id) === 0) return undefined
  throw new AppError('history', `the history of ${format} is not empty: ${first.name} is recorded`, {
    hint: `a baseline is only for a database in which ${format} has not recorded anything yet`,
  })
}

function refuseUnfinished(applied: Applied[]): void {
  const stopped = applied.find((row) => !isDone(row) || row.progress !== null)
  if (!stopped) return
  throw new AppError('history', `${stopped.name} was started and did not finish`, {
    hint: isResumable(stopped)
      ? 'let `pgbosun migrate` finish it first'
      : `see \`pgbosun migrate verify\`, and repair it first: \`pgbosun migrate repair --applied ${shellWord(stopped.name)}\` or \`--pending\``,
  })
}

function refuseNewer(target: Migration, applied: Applied[], { compare }: HistoryPolicy): void {
  const newer = applied.find((row) => compare(row.id, target.id) > 0)
  if (!newer) return
  throw new AppError('history', `${newer.name}, which is newer than ${target.name}, is already applied`, {
    hint: 'name the newest version that the database contains; older ones that are missing from the history are recorded too',
  })
}
