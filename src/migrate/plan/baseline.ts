// pure
import { AppError, usage } from '../../errors.ts'
import type { Applied, Migration } from '../../formats/types.ts'
import { shellWord } from '../../text.ts'
import type { History, MigrationPlan } from '../types.ts'
import { findMigration, planMigrations } from './plan.ts'
import { type HistoryPolicy, isDone, isResumable } from './verify.ts'

export type BaselineOptions = {
  policy: HistoryPolicy
  /** Whether the format's tool has a mark of its own that stands for all versions up to it. */
  marks: boolean
}

/** `steps` of the plan are recorded without being run; or `mark` is written instead, for which the plan has none. */
export type BaselinePlan = { plan: MigrationPlan; mark: Migration | undefined }

/**
 * Decides how everything up to a version becomes recorded as applied. Nothing is to do when it is already.
 *
 * @param files   all of the folder, in the format's order
 * @param version of a migration; where the tool has a mark, any version
 * @throws {AppError} `usage` when there is no such migration; `history` when a newer one is applied already, one did not finish,
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
  // What is recorded now is not out of order any more.
  const problems = plan.problems.filter(({ code, name }) => code !== 'out-of-order' || !recorded.has(name))
  return { plan: { ...plan, steps, problems }, mark: undefined }
}

const isVersioned = ({ kind }: Pick<Migration, 'kind'>) => kind === 'versioned'

const noSteps = ({ lastSeq, lastDetail }: History): MigrationPlan => ({
  ...{ steps: [], problems: [], warnings: [], currentVersion: undefined },
  ...{ lastSeq, lastDetail },
})

/** What has no file: an adopted database may begin with a version that never had one. */
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

/** Of the column of Flyway's history, the only tool that has a mark. */
const longestVersion = 50

/** Only an empty history gets one. The same mark again is nothing to do. */
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
