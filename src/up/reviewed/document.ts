// pure
import type { Item } from '../../plan.ts'

/** The version of the file that `plan --out` writes. A reader refuses every other one. */
export const planVersion = 1

/** A file with SQL or data: `database` is only set where it is not the target. */
export type PlannedFile = { database?: string; name: string; sha256: string }

/** One change as the file has it. */
export type ReviewedChange = Pick<Item, 'action' | 'object' | 'reason' | 'sql' | 'sha256'>

/** A plan that people review: what `plan --out` writes, and `up --plan` compares with its own. Nothing in it is secret, or ever run. */
export type ReviewedPlan = {
  schema_version: typeof planVersion
  pgbosun_version: string
  /** RFC 3339, UTC. */
  planned_at: string
  /** Null where the user may not read it. */
  system_identifier: string | null
  database: string
  server_major: number
  /** sha256 of what is declared of databases, roles and users, and of how migrations are run. */
  configuration_sha256: string
  migrations: PlannedFile[]
  seeds: PlannedFile[]
  steps: { name: string; deferred: boolean; changes: ReviewedChange[] }[]
}

/** A change as the file has it. */
export const reviewedChange = ({ action, object, reason, sql, sha256 }: Item): ReviewedChange => ({
  action,
  object,
  reason,
  ...(sql && { sql }),
  ...(sha256 !== undefined && { sha256 }),
})

/** The plan in a file, or what is wrong with the file, as the end of a sentence that begins with its name. */
export function parsePlan(text: string): ReviewedPlan | string {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return 'is not JSON, or not all of it is there'
  }
  if (!isRecord(value) || typeof value.schema_version !== 'number' || !('steps' in value))
    return 'is not a plan of pgbosun'
  if (value.schema_version !== planVersion)
    return `has version ${value.schema_version}, but this pgbosun reads version ${planVersion}`
  const wrong = Object.entries(fields).find(([name, fits]) => !fits((value as Record<string, unknown>)[name]))
  return wrong ? `has no valid ${wrong[0]}` : (value as ReviewedPlan)
}

type Fits = (value: unknown) => boolean

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isText: Fits = (value) => typeof value === 'string'
const listOf =
  (fits: Fits): Fits =>
  (value) =>
    Array.isArray(value) && value.every(fits)
const optional =
  (fits: Fits): Fits =>
  (value) =>
    value === undefined || fits(value)
const withFields =
  (of: Record<string, Fits>): Fits =>
  (value) =>
    isRecord(value) && Object.entries(of).every(([name, fits]) => fits(value[name]))

const file = withFields({ database: optional(isText), name: isText, sha256: isText })
const change = withFields({
  action: isText,
  object: isText,
  reason: isText,
  sql: optional(listOf(isText)),
  sha256: optional(isText),
})

const fields: Record<Exclude<keyof ReviewedPlan, 'schema_version'>, Fits> = {
  pgbosun_version: isText,
  planned_at: (value) => isText(value) && !Number.isNaN(Date.parse(value as string)),
  system_identifier: (value) => value === null || isText(value),
  database: isText,
  server_major: (value) => Number.isInteger(value),
  configuration_sha256: isText,
  migrations: listOf(file),
  seeds: listOf(file),
  steps: listOf(withFields({ name: isText, deferred: (value) => typeof value === 'boolean', changes: listOf(change) })),
}
