// pure
import { renderAge, renderDuration } from '../../units.ts'
import type { PlannedFile, ReviewedChange, ReviewedPlan } from './document.ts'

/** Why a plan is for another server or database; undefined if it is for this one. */
export function elsewhere(reviewed: ReviewedPlan, now: ReviewedPlan): string | undefined {
  if (reviewed.system_identifier !== now.system_identifier)
    return `it was made on another server: its system identifier is ${reviewed.system_identifier ?? 'unknown'}, that of this one is ${now.system_identifier ?? 'unknown'}`
  if (reviewed.database !== now.database)
    return `it was made for the database ${reviewed.database}, not for ${now.database}`
  return undefined
}

/** How a plan differs from the one that was reviewed, in words; the most important first. Empty: it is the same. */
export const differences = (
  reviewed: ReviewedPlan,
  now: ReviewedPlan,
  { at, maxAgeMs }: { at: Date; maxAgeMs: number },
): string[] => [
  ...surroundings(reviewed, now, { at, maxAgeMs }),
  ...fileDifferences('migration', reviewed.migrations, now.migrations),
  ...fileDifferences('seed', reviewed.seeds, now.seeds),
  ...stepDifferences(reviewed, now),
]

/** Allowed between the clocks of the two machines. */
const clockMs = 300_000

function surroundings(
  reviewed: ReviewedPlan,
  now: ReviewedPlan,
  { at, maxAgeMs }: { at: Date; maxAgeMs: number },
): string[] {
  const ageMs = at.getTime() - Date.parse(reviewed.planned_at)
  const changed = (what: string, before: string | number, after: string | number) =>
    before === after ? [] : [`it was made ${what} ${before}, this is ${after}`]
  return [
    ...(ageMs > maxAgeMs ? [`it is ${renderAge(ageMs)} old, and --plan-max-age is ${renderDuration(maxAgeMs)}`] : []),
    ...(ageMs < -clockMs ? [`it was made ${renderAge(ageMs)} in the future, by the clock of this machine`] : []),
    ...changed('by pgbosun', reviewed.pgbosun_version, now.pgbosun_version),
    ...changed('for PostgreSQL', reviewed.server_major, now.server_major),
    ...(reviewed.configuration_sha256 === now.configuration_sha256
      ? []
      : ['the configuration of databases, roles, users or migrate is not the one it was made with']),
  ]
}

const called = ({ database, name }: PlannedFile) => (database === undefined ? name : `${name} in ${database}`)

function fileDifferences(kind: string, reviewed: PlannedFile[], now: PlannedFile[]): string[] {
  const before = new Map(reviewed.map((file) => [called(file), file.sha256]))
  const after = new Map(now.map((file) => [called(file), file.sha256]))
  return [
    ...[...after].flatMap(([name, sha256]) => {
      const was = before.get(name)
      if (was === undefined) return [`${kind} ${name} is not in it`]
      return was === sha256 ? [] : [`${kind} ${name} has other content`]
    }),
    ...[...before.keys()].filter((name) => !after.has(name)).map((name) => `${kind} ${name} is gone`),
  ]
}

function stepDifferences(reviewed: ReviewedPlan, now: ReviewedPlan): string[] {
  const steps = new Map(reviewed.steps.map((step) => [step.name, step]))
  const lists = now.steps.flatMap(({ name, changes }) => {
    const before = steps.get(name)?.changes ?? []
    const [was, is] = [before.map(keyOf), changes.map(keyOf)]
    const known = new Set(was)
    const present = new Set(is)
    const found = [
      ...changes.filter((_, i) => !known.has(is[i]!)).map((change) => newOne(name, change, before)),
      ...before
        .filter((_, i) => !present.has(was[i]!) && !isIn(changes, before[i]!))
        .map((change) => lost(name, change)),
    ]
    const sameOrder = was.length === is.length && was.every((key, i) => key === is[i])
    return found.length > 0 || sameOrder ? found : [`${name}: the same changes, in another order or another number`]
  })
  const unknown = reviewed.steps.filter(({ name }) => !now.steps.some((step) => step.name === name))
  return [...lists, ...unknown.map(({ name }) => `there is no step ${name}`)]
}

const isIn = (changes: ReviewedChange[], { action, object }: ReviewedChange) =>
  changes.some((change) => change.action === action && change.object === object)

/** A change that was not reviewed like this. */
function newOne(step: string, change: ReviewedChange, before: ReviewedChange[]): string {
  const { action, object, reason } = change
  const similar = before.find((one) => one.action === action && one.object === object)
  if (!similar) return `${step}: ${action} ${object} (${reason}) is not in it`
  const what =
    similar.reason !== reason ? `for another reason: ${similar.reason}` : 'but what would be done is not the same'
  return `${step}: ${action} ${object} (${reason}) is in it ${what}`
}

const lost = (step: string, { action, object }: ReviewedChange) => `${step}: ${action} ${object} is not needed any more`

/**
 * What two changes must have in common to be the same. The reason of a backup tells sizes, which change by themselves.
 */
export const keyOf = ({ action, object, reason, sql, sha256 }: ReviewedChange): string =>
  JSON.stringify([action, object, action === 'back up' ? '' : reason, sql ?? null, sha256 ?? null])
