// pure
import { type Change, ofOneKind, type Warning } from '../plan.ts'
import { counted, plural, someOf } from '../units.ts'
import { type AssertionResult, describeAssertion } from './assertion.ts'
import type { BackupHealth } from './backups.ts'
import { type Condition, conditionFields } from './condition-catalogue.ts'
import { type Leftover, fieldsOf as leftoverFields, sized, warningOf } from './leftovers.ts'
import type { HealthFindings } from './types.ts'
import { type Verdict, verdictOf } from './verdict.ts'

/** Everything that was found out about one database. */
export type HealthInput = {
  /** Null: it could be reached. */
  connectionError: string | null
  /** Undefined without a connection. */
  findings: HealthFindings | undefined
  migrations: {
    /** Whether the state exists. */
    initialized: boolean
    appliedCount: number
    /** Name of the newest applied migration, without `.sql`. */
    currentVersion: string | undefined
    /** Names, in order. */
    pending: string[]
    problems: { code: string; name: string; detail: string }[]
    warnings: Warning[]
  }
  /** What the plan for roles would change; empty when roles are as declared. */
  drift: Change[]
  /** What could not be compared about roles, in words; `everything` if nothing could. */
  uncompared?: string[]
  /** Messages about applications that cannot use what exists. */
  lockedOut?: string[]
  /** The results of `check.assertions`; `unknown`: why they could not be checked. */
  assertions?: { results: AssertionResult[]; unknown?: string }
  /** Undefined when no backups are configured or found. */
  backups?: BackupHealth | undefined
  /** What is wrong with the server, in words. */
  server?: { errors: string[]; warnings: string[] }
  /** Advice on what could be safer; it makes nothing unhealthy. */
  advice?: string[]
  /** Undefined without a connection. */
  leftovers?: Leftover[]
  /** In words, that a restore holds back pending migrations; undefined if none does. */
  held?: string | undefined
  /** The same as conditions, the worst first, with those that are only warnings. */
  conditions?: readonly Condition[]
  /** When it was found out; what no fact tells the beginning of has begun then. */
  lookedAt?: string
  /** What could not be looked at, in words. */
  unlooked?: readonly string[]
  /** The schema compared with what the migrations make; undefined when not asked for. */
  shadow?: ShadowHealth | undefined
}

export type ShadowHealth = {
  errors: string[]
  warnings: string[]
  /** For people; the first one is short. */
  lines: string[]
  /** For the JSON document; null when nothing could be compared. */
  drift: object | null
}

export type Health = {
  healthy: boolean
  /** Set when there is an error; decides the exit code of `check`. */
  failure: 'unhealthy' | undefined
  errors: string[]
  /** Whether nothing is wrong with the database itself, only with its backups. */
  onlyBackups: boolean
  warnings: Warning[]
  verdict: Verdict
  /** The worst first. */
  conditions: readonly Condition[]
  lookedAt: string | undefined
  unlooked: readonly string[]
  /** Permanent fields of the documents of `status` and `check`, at their top level. */
  fields: Record<string, unknown>
  /** For people, one line for each part. */
  lines: string[]
}

/** Judges what was found. Pending migrations and differing roles are errors: the database is not what is declared. */
export function judgeHealth({
  connectionError,
  findings,
  migrations,
  drift,
  uncompared = [],
  lockedOut = [],
  assertions: { results: assertions, unknown } = { results: [] },
  backups,
  advice = [],
  server = { errors: [], warnings: [] },
  leftovers,
  held,
  conditions = [],
  lookedAt,
  unlooked = [],
  shadow,
}: HealthInput): Health {
  const connected = connectionError === null
  const { pending, problems } = migrations
  const schemaIssues = findings?.errors ?? []
  const errors = [
    ...(connected ? [] : [`the database cannot be reached: ${connectionError}`]),
    ...schemaIssues,
    ...problems.map(({ name, detail }) => `migration ${name} ${detail}`),
    ...(pending.length > 0 ? [`${counted(pending.length, 'migration')} pending: ${someOf(pending)}`] : []),
    ...drift.map(({ action, object, reason }) => `roles: ${action} ${object} (${reason})`),
    ...lockedOut,
    ...violated(assertions, 'error'),
    ...server.errors,
  ]
  const onlyBackups = errors.length === 0 && !shadow?.errors.length
  errors.push(...(backups?.errors ?? []), ...(shadow?.errors ?? []))
  const healthy = errors.length === 0
  const verdict = verdictOf(conditions, unlooked)
  return {
    healthy,
    verdict,
    conditions,
    lookedAt,
    unlooked,
    failure: healthy ? undefined : 'unhealthy',
    errors,
    onlyBackups: onlyBackups && !healthy,
    warnings: [
      ...migrations.warnings,
      ...(findings?.warnings ?? []),
      ...violated(assertions, 'warning'),
      ...(unknown === undefined ? [] : [unknown]),
      ...(backups?.warnings ?? []),
      ...ofOneKind(shadow?.warnings ?? []),
      ...(held === undefined ? [] : [held]),
      ...ofOneKind(leftovers?.map(warningOf) ?? []),
      ...server.warnings,
      ...advice,
    ],
    fields: {
      initialized: migrations.initialized,
      current_version: migrations.currentVersion ?? null,
      pending_migrations: pending,
      applied_migrations: migrations.appliedCount,
      schema_valid: connected && schemaIssues.length === 0,
      schema_issues: schemaIssues,
      connectivity: { ok: connected, error: connectionError },
      tables: findings?.tables ?? { ok: false, missing: [] },
      columns: findings?.columns ?? { ok: false, missing: [], different: [] },
      indexes: findings?.indexes ?? { ok: false, missing: [], invalid: [] },
      foreign_keys: findings?.foreignKeys ?? { ok: false, missing: [], invalid: [] },
      migrations: { ok: connected && pending.length === 0 && problems.length === 0, pending, problems },
      roles: { ok: connected && drift.length + lockedOut.length === 0, drift, locked_out: lockedOut },
      ...(assertions.length > 0 && { assertions }),
      ...(backups && { backups: { ok: backupsOk(backups), databases: backups.entries } }),
      ...(shadow && { drift: shadow.drift }),
      leftovers: leftovers?.map(leftoverFields) ?? null,
      verdict,
      unlooked,
      conditions: conditions.map(conditionFields),
      overall_healthy: healthy,
    },
    lines: connected
      ? [
          line('connection', 'ok'),
          line('migrations', migrationState(migrations)),
          ...schemaLines(findings),
          line('roles', [...joined(lockedOut), roleState(drift, uncompared)].join('; ')),
          ...assertionLines(assertions),
          ...(backups?.lines ?? []),
          ...(leftovers?.length ? [line('leftovers', someOf(leftovers.map(sized)))] : []),
          ...(shadow ? [line('schema', shadow.lines[0] ?? ''), ...shadow.lines.slice(1)] : []),
        ]
      : [line('connection', `failed: ${connectionError}`), ...(backups?.lines ?? [])],
  }
}

/** Null when a backup is missing and it is not known whether there should be one. */
const backupsOk = ({ errors, entries }: BackupHealth): boolean | null =>
  errors.length > 0 ? false : entries.some(({ ok }) => ok === null) ? null : true

const line = (what: string, state: string) => `${what.padEnd(13)}${state}`

/** Some of them as one item of a line; no item if there are none. */
const joined = (problems: string[]) => (problems.length > 0 ? [someOf(problems, '; ')] : [])

function migrationState({ appliedCount, currentVersion, pending, problems }: HealthInput['migrations']): string {
  return [
    currentVersion === undefined ? `${appliedCount} applied` : `${appliedCount} applied, at ${currentVersion}`,
    ...(pending.length > 0 ? [`${pending.length} pending: ${someOf(pending)}`] : []),
    ...joined(problems.map(({ name, detail }) => `${name} ${detail}`)),
  ].join('; ')
}

function schemaLines(findings: HealthFindings | undefined): string[] {
  if (!findings) return []
  const { tables, columns, indexes, foreignKeys } = findings
  const state = (problems: string[]) => (problems.length === 0 ? 'ok' : someOf(problems, '; '))
  const named = (problem: string, labels: string[]) => (labels.length === 0 ? [] : [`${problem}: ${someOf(labels)}`])
  return [
    line('tables', state(named('missing', tables.missing))),
    line(
      'columns',
      state([
        ...named('missing', columns.missing),
        ...columns.different.map(({ column, declared, actual }) => `${column} is ${actual}, declared as ${declared}`),
      ]),
    ),
    line('indexes', state([...named('missing', indexes.missing), ...named('invalid', indexes.invalid)])),
    line(
      'foreign keys',
      state([...named('missing', foreignKeys.missing), ...named('not validated', foreignKeys.invalid)]),
    ),
  ]
}

/** Messages about the assertions of a level that do not hold. */
export const violated = (assertions: AssertionResult[], level: AssertionResult['level']): string[] =>
  assertions.filter((assertion) => assertion.ok === false && assertion.level === level).map(describeAssertion)

function assertionLines(assertions: AssertionResult[]): string[] {
  if (assertions.length === 0) return []
  const bad = assertions.filter(({ ok }) => ok === false)
  const state = assertions.some(({ ok }) => ok === null)
    ? 'not checked'
    : bad.length === 0
      ? `${assertions.length} ${plural(assertions.length, 'holds', 'hold')}`
      : someOf(bad.map(describeAssertion), '; ')
  return [line('assertions', state)]
}

function roleState(drift: Change[], uncompared: string[]): string {
  if (uncompared.includes('everything')) return 'not compared'
  const found =
    drift.length === 0
      ? 'as declared'
      : `${counted(drift.length, 'difference')}: ${someOf(drift.map(({ action, object }) => `${action} ${object}`))}`
  return uncompared.length === 0 ? found : `${found}; not compared: ${someOf(uncompared)}`
}
