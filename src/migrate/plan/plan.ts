// pure
import { usage } from '../../errors.ts'
import type { Applied, Migration, Progress } from '../../formats/types.ts'
import type { History, MigrationPlan, MigrationStep } from '../types.ts'
import { isUnsendable, planSending } from './sending.ts'
import {
  doneHash,
  failedElsewhere,
  findProblems,
  type HistoryPolicy,
  isResumable,
  newestApplied,
  underBaseline,
} from './verify.ts'

/** Which of the pending migrations to apply. */
export type WantedMigrations = {
  /** Up to this version, name or id, inclusive. */
  to?: string | undefined
  /** At most this many. */
  steps?: number | undefined
  /** Only the one with this id. */
  only?: string | undefined
  /** Record them without running them. */
  fake?: boolean
}

/**
 * Decides which files to apply: versioned ones in order, then the repeatable ones that changed.
 * Lists the steps even if there are problems, so that a person sees both.
 *
 * @param files in the format's order
 * @throws {AppError} `usage` if there is no migration `to`
 */
export function planMigrations(
  files: Migration[],
  { applied, repeated, lastSeq, lastDetail }: History,
  policy: HistoryPolicy,
  wanted: WantedMigrations = {},
): MigrationPlan {
  const versioned = files.filter(({ kind }) => kind === 'versioned')
  const rowOf = new Map(applied.map((row) => [row.id, row]))
  const newest = newestApplied(applied, policy)
  const pending = versioned.filter((file) => {
    const row = rowOf.get(file.id)
    return row ? isResumable(row) : !underBaseline(file.id, applied, policy)
  })
  const chosen = choose(versioned, pending, policy, wanted)
  const { problems, warnings } = findProblems(versioned, applied, policy)
  const stuck = repeated.filter(({ status }) => status === 'failed').map((row) => failedElsewhere(row, policy))
  const beforeOf = new Map(versioned.map((file, i) => [file, versioned[i - 1]]))

  return {
    steps: [
      ...chosen.map((file) =>
        stepFor(
          file,
          reasonFor(file, rowOf.get(file.id), newest, policy),
          policy,
          wanted,
          beforeOf.get(file),
          rowOf.get(file.id),
        ),
      ),
      ...(chosen.length === pending.length
        ? repeatableSteps(
            files.filter(({ kind }) => kind === 'repeatable'),
            repeated,
            policy,
            wanted,
          )
        : []),
    ],
    problems: [...problems, ...stuck],
    warnings,
    currentVersion: newest?.name,
    lastSeq,
    lastDetail,
  }
}

/** Finds the file that a person named by its id, its name, or the version at the start of its name. */
export function findMigration<T extends { id: string; name: string }>(files: T[], wanted: string): T | undefined {
  const exact = files.find(({ id, name }) => id === wanted || name === wanted.replace(/\.sql$/, ''))
  if (exact || !/^\d+$/.test(wanted)) return exact
  return files.find(({ id, name }) => {
    const digits = /^\d+$/.test(id) ? id : /^\D?(\d+)/.exec(name)?.[1]
    return digits !== undefined && BigInt(digits) === BigInt(wanted)
  })
}

function choose(
  all: Migration[],
  pending: Migration[],
  { compare }: HistoryPolicy,
  { to, steps, only }: WantedMigrations,
): Migration[] {
  if (only !== undefined) return pending.filter(({ id }) => id === only)
  if (to === undefined) return steps === undefined ? pending : pending.slice(0, steps)
  const target = findMigration(all, to)
  if (!target) throw usage(`there is no migration ${to}`, { hint: 'use a version that `pgbosun migrate status` shows' })
  return pending.filter(({ id }) => compare(id, target.id) <= 0).slice(0, steps)
}

function stepFor(
  file: Migration,
  reason: string,
  { own }: HistoryPolicy,
  { fake = false }: WantedMigrations,
  before: Migration | undefined,
  row: Applied | undefined,
): MigrationStep {
  const sending = planSending(file, { foreign: !own })
  const outside =
    !fake && !isUnsendable(sending) && sending.mode === 'split' ? `, outside a transaction (${sending.why})` : ''
  const resume = row && resumeOf(file, row)
  return { ...file, reason: `${reason}${fake ? ', only recorded' : ''}${outside}`, sending, fake, before, resume }
}

/** Where an earlier run stopped. A repeatable file that changed since then starts again from the beginning. */
function resumeOf({ kind, sha256, text }: Migration, { status, progress, seq, sha256: startedAs }: Applied) {
  if (status !== 'started' || !progress) return undefined
  const fromStart = kind === 'repeatable' && startedAs !== sha256
  return { ...(fromStart ? startOf(text) : progress), seq }
}

const startOf = (text: string): Progress => ({ direction: 'up', done: 0, running: false, sha256: doneHash(text, 0) })

function reasonFor(
  file: Migration,
  row: Applied | undefined,
  newest: Applied | undefined,
  { compare }: HistoryPolicy,
): string {
  if (row?.progress) return `interrupted at statement ${row.progress.done + 1}`
  return newest && compare(file.id, newest.id) < 0 ? `not applied yet, older than ${newest.name}` : 'not applied yet'
}

function repeatableSteps(
  files: Migration[],
  repeated: Applied[],
  policy: HistoryPolicy,
  wanted: WantedMigrations,
): MigrationStep[] {
  const rowOf = new Map(repeated.map((row) => [row.id, row]))
  return files.flatMap((file) => {
    const row = rowOf.get(file.id)
    const same =
      row?.status !== 'started' && row && (row.checksum === file.checksum || file.accepts?.(row.checksum ?? ''))
    if (same) return []
    const reason =
      row === undefined ? 'not applied yet' : row.status === 'started' ? 'interrupted' : 'changed since it was applied'
    return [stepFor(file, reason, policy, wanted, undefined, row)]
  })
}
