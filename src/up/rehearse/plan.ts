// pure
import { AppError } from '../../errors.ts'
import type { History, MigrationPlan, MigrationStep } from '../../migrate/types.ts'
import { someOf } from '../../units.ts'

/** What a rehearsal runs: the files that the live database got since the backup, and those that are pending there. */
export type Rehearsal = {
  plan: MigrationPlan
  /** Those of its steps that the live database already has. */
  alreadyApplied: ReadonlySet<MigrationStep>
}

type Side = { plan: Pick<MigrationPlan, 'steps'>; history: Pick<History, 'applied' | 'repeated'> }

/**
 * The plan for a restored copy: first what was applied to the live database since the backup, in the order in which it was, so that the
 * pending files then find what they will find there.
 *
 * @param copy what is pending in the backup
 * @throws {AppError} `history` if that does not lead to what the live database has
 */
export function planRehearsal(live: Side, copy: { plan: MigrationPlan }, backup: string): Rehearsal {
  const pending = new Set(live.plan.steps.map(keyOf))
  const inCopy = new Set(copy.plan.steps.map(keyOf))
  const undone = live.plan.steps.filter((step) => !inCopy.has(keyOf(step)))
  if (undone.length > 0)
    throw doesNotFit(
      `${named(undone)} pending in the database, but applied in the backup ${backup}, so it cannot be rehearsed there`,
    )
  const { applied, repeated } = live.history
  const rows = new Map<string, { status: string; at: number }>([
    ...applied.map(({ id, status }, at) => [keyOf({ kind: 'versioned', id }), { status, at }] as const),
    ...repeated.map(({ id, status }, at) => [keyOf({ kind: 'repeatable', id }), { status, at }] as const),
  ])
  const already = copy.plan.steps.filter((step) => !pending.has(keyOf(step)))
  const recorded = already.filter((step) => rows.get(keyOf(step))?.status !== 'applied')
  if (recorded.length > 0)
    throw doesNotFit(
      `${named(recorded)} recorded in the database without being run, and not in the backup ${backup}: whether the backup has what it makes is not known`,
    )
  const position = (step: MigrationStep) => rows.get(keyOf(step))!.at
  const versioned = already.filter(({ kind }) => kind === 'versioned').sort((a, b) => position(a) - position(b))
  const repeatable = already.filter(({ kind }) => kind === 'repeatable')
  return {
    plan: {
      ...copy.plan,
      steps: [...versioned, ...repeatable, ...copy.plan.steps.filter((step) => pending.has(keyOf(step)))],
    },
    alreadyApplied: new Set(already),
  }
}

const keyOf = ({ kind, id }: Pick<MigrationStep, 'kind' | 'id'>) => `${kind} ${id}`

const named = (steps: MigrationStep[]) =>
  `${someOf(steps.map(({ name }) => name))} ${steps.length === 1 ? 'is' : 'are'}`

const doesNotFit = (message: string) => new AppError('history', message, { hint: newBackup })

/** What to do if a backup does not fit the history of the live database. */
export const newBackup = 'make a new backup with `pgbosun backup run`, and rehearse from that'
