import { besideDatabase } from '../backup/beside.ts'
import { readClockDifference } from '../backup/inspect.ts'
import { isSkewed, skewWarning } from '../backup/skew.ts'
import { backupConditions, storeConditions } from '../check/backup-conditions.ts'
import { backupFindings } from '../check/backup-findings.ts'
import { type BackupFacts, judgeBackups } from '../check/backups.ts'
import { adviceOnCollations } from '../check/collations.ts'
import type { Condition } from '../check/condition-catalogue.ts'
import { type Health, judgeHealth, type ShadowHealth } from '../check/health.ts'
import { connectionHints, databaseConditions } from '../check/health-conditions.ts'
import { adviceOnLockDatabase } from '../check/lock-database.ts'
import type { Declared as DeclaredShown } from '../check/overview.ts'
import { worstFirst } from '../check/verdict.ts'
import { writtenSchedules } from '../config/schedules.ts'
import { AppError, exitCodes } from '../errors.ts'
import { isDone } from '../migrate/plan/verify.ts'
import { type Change, ofOneKind, type Warning } from '../plan.ts'
import type { Db } from '../postgres/db.ts'
import type { Context } from '../run/context.ts'
import type { Run } from '../run/run.ts'
import { readFirstEventAt, readLastRun } from '../state/events.ts'
import { readHold } from '../state/hold.ts'
import { besideHint } from '../store/persistence.ts'
import { accessAdvice } from './access-advice.ts'
import { assertionResults } from './assertions.ts'
import { adviceOnBackupUser } from './backup-user.ts'
import { backupFacts, earlier } from './backups.ts'
import { findingsOf, lookAtMigrations } from './check.ts'
import { findClientMissing } from './client-missing.ts'
import { adviceOnHold, describeHold } from './hold.ts'
import { readLeftovers } from './leftovers.ts'
import { findUnsendable, type MigrateStep } from './migrate.ts'
import type { Declared } from './roles/declared.ts'
import { roleDrift } from './roles/read-drift.ts'
import { saidOf, serverConditions } from './server-health.ts'
import type { MigrateTarget } from './target.ts'
import { adviceOnTestRestores } from './test-restore.ts'

/** What the database is compared with; read before connecting. */
export type Expected = {
  target: MigrateTarget | undefined
  declared: Declared | undefined
  /** Whether the schema is compared with what the migrations make. */
  shadow?: boolean
  /** Whether to give advice that makes the server safer. */
  advice?: boolean
  /** False where somebody else looks at the backups. */
  backups?: boolean
}

/** What was found out on the way, for whoever shows more than what is wrong. */
export type Seen = {
  /** Undefined where it could not be read. */
  migrations: Pick<DeclaredShown, 'migrations' | 'pending'> | undefined
  backups: readonly BackupFacts[]
}

/** Everything that `check` and `status` say about the target database. @param see called with what was found out on the way */
export async function readHealth(
  run: Run,
  { target, declared, shadow = false, advice = false, backups: lookAtBackups = true }: Expected,
  see: (seen: Seen) => void = () => {},
): Promise<Health> {
  const looking = lookAtMigrations(run, target)
  const [step, findings] = await Promise.all([looking, findingsOf(run, async () => looking)])
  const applied = step?.history.applied ?? []
  const revision = target?.command && (await revisionOfCommand(run, target))
  const { drift, lockedOut, warnings, uncompared } = await driftOrWarning(run, declared)
  const now = new Date()
  const facts = lookAtBackups ? await backupFacts(run.context, now, await knownSince(run, applied)) : undefined
  const backups = facts && judgeBackups(facts, { maxAgeMs: run.context.loaded.config.check.backupMaxAge, now })
  const missing = await findClientMissing(run.context.loaded, run.cluster.serverVersion)
  const hold = run.target && (await readHold(run.target.sql))
  const held = hold && adviceOnHold(hold, run.context.connection().database)
  const leftovers = await readLeftovers(run.cluster.sql)
  const assertions = await assertionResults(run)
  const migrations = migrationsOf(step)
  const compared = shadow && step ? await shadowHealth(run, step) : undefined
  const unlooked = [
    ...(uncompared.includes('everything') ? ['the roles'] : []),
    ...(assertions.unknown === undefined ? [] : ['the assertions']),
  ]
  const beside = facts ? await storeBeside(run, facts) : undefined
  const server = await serverConditions(run, facts ?? [], now)
  const conditions = worstFirst([
    ...server.conditions,
    ...databaseConditions(
      {
        ...{ findings, drift, lockedOut, shadow: compared, assertions: assertions.results },
        leftovers: leftovers.filter(({ of }) => of === run.context.connection().database),
        ...{ pending: migrations.pending, problems: migrations.problems },
        failedRun: migrations.pending.length > 0 && run.target ? await failedMigration(run.target.sql) : undefined,
        held: hold && { text: describeHold(hold, run.context.connection().database), since: hold.since },
        clientMissing: missing && { message: missing.message, hint: missing.hint ?? '' },
        skew: await skewOf(run),
      },
      () => now.toISOString(),
    ),
    ...(facts ? conditionsOfBackups(run.context, facts, now, beside) : []),
  ])
  if (missing) backups?.errors.push(`no backup can be made here: ${missing.message} (${missing.hint})`)
  see({
    migrations: {
      migrations: applied.filter(isDone).map(({ name, appliedAt, durationMs }) => ({ name, appliedAt, durationMs })),
      pending: migrations.pending,
    },
    backups: facts ?? [],
  })
  return judgeHealth({
    lookedAt: now.toISOString(),
    connectionError: null,
    backups,
    findings,
    migrations: {
      initialized: applied.length > 0 || revision !== undefined,
      ...migrations,
      ...(revision !== undefined && { currentVersion: revision }),
      warnings: [...(step?.plan.warnings ?? []), ...warnings],
    },
    drift,
    uncompared,
    lockedOut,
    assertions,
    conditions,
    unlooked,
    server: {
      errors: server.conditions.filter(({ severity }) => severity === 'error').map(saidOf),
      warnings: [...server.conditions.filter(({ severity }) => severity === 'warning').map(saidOf), ...server.warnings],
    },
    advice: advice
      ? [
          ...(await adviceFor(run)),
          ...(await accessAdvice(run, declared?.desired)),
          ...(beside === undefined ? [] : [`${beside}: ${besideHint}`]),
          ...adviceOnTestRestores(run.context.loaded, facts),
        ]
      : [],
    leftovers,
    held,
    shadow: compared,
  })
}

/** What `check` says of the backups, as `serve` does. */
export function conditionsOfBackups(
  { loaded }: Context,
  facts: BackupFacts[],
  now: Date,
  beside?: string,
): Condition[] {
  const { backupMaxAge } = loaded.config.check
  const place = facts.find(({ newest, notPersistent }) => newest && notPersistent !== undefined)?.notPersistent
  return [
    ...backupConditions(
      facts.map((fact) => backupFindings(fact, backupMaxAge, now)),
      [],
      now.toISOString(),
    ),
    ...storeConditions({ notPersistent: place, beside }, now.toISOString()),
  ]
}

/** The last run, where it failed at a migration: those that are pending include it. */
async function failedMigration(db: Db): Promise<{ at: string; error: string } | undefined> {
  const last = await readLastRun(db)
  return last?.exitCode === exitCodes.migration && last.error !== null ? { at: last.at, error: last.error } : undefined
}

async function skewOf({ cluster }: Run): Promise<string | undefined> {
  const aheadMs = await readClockDifference(cluster.sql, () => new Date())
  return isSkewed(aheadMs) ? skewWarning(aheadMs) : undefined
}

/** The earliest instant known of the database: that of its first migration, or of our first change. */
async function knownSince(
  { context, target }: Run,
  applied: { appliedAt: string | null }[],
): Promise<Date | undefined> {
  if (writtenSchedules(context.loaded.config.backup).length === 0) return undefined
  const instants = applied.flatMap(({ appliedAt }) => (appliedAt === null ? [] : [new Date(appliedAt)]))
  return [...instants, await readFirstEventAt(target!.sql)].reduce<Date | undefined>(earlier, undefined)
}

async function adviceFor({ context, cluster, target }: Run): Promise<string[]> {
  return [
    ...(await adviceOnLockDatabase(cluster.sql, context.loaded.config.lock.database)),
    ...(await adviceOnBackupUser(context, cluster.sql)),
    ...(target ? await adviceOnCollations(target.sql, target.serverVersion) : []),
  ]
}

/** That the store is on the disk of the server's data, in words. */
async function storeBeside({ cluster }: Run, [first]: BackupFacts[]): Promise<string | undefined> {
  // all databases are in the same stores
  return first && besideDatabase(cluster.sql, first.stores ?? [first.store])
}

/** If the comparison cannot be made, that is an error too, because it was asked for. */
async function shadowHealth(run: Run, { target, plan }: MigrateStep): Promise<ShadowHealth> {
  if (plan.problems.length > 0)
    return { errors: [], warnings: [], lines: ['not compared: the files do not match the history'], drift: null }
  const { healthOfShadow } = await import('./shadow/report.ts')
  return healthOfShadow(run, target)
}

async function revisionOfCommand(run: Run, target: MigrateTarget): Promise<string | undefined> {
  const { revisionOf } = await import('./program/state.ts')
  return revisionOf(run, target)
}

/** The state of the migrations; where another program migrates, only the version it has reached. */
const migrationsOf = (step: MigrateStep | undefined) => ({
  appliedCount: step?.history.applied.filter(isDone).length ?? 0,
  currentVersion: step?.plan.currentVersion,
  pending: step?.plan.steps.map(({ name }) => name) ?? [],
  problems: step
    ? [...step.plan.problems, ...findUnsendable(step.plan.steps)].map(({ code, name, detail }) => ({
        code,
        name,
        detail,
      }))
    : [],
})

/** Comparing roles may need more privileges than the rest: without them it is a warning. */
async function driftOrWarning(
  run: Run,
  declared: Declared | undefined,
): Promise<{ drift: Change[]; lockedOut: string[]; warnings: Warning[]; uncompared: string[] }> {
  if (!declared) return { drift: [], lockedOut: [], warnings: [], uncompared: [] }
  try {
    const { ensure, grant, absent, closed, lockedOut, open } = await roleDrift(run, declared)
    const missing = absent.map(
      (name): Change => ({ action: 'create', object: `database ${name}`, reason: 'does not exist' }),
    )
    return {
      drift: [
        ...ensure.filter(({ object }) => !missing.some((change) => change.object === object)),
        ...missing,
        ...grant,
      ],
      lockedOut,
      warnings: [...ofOneKind(open), ...closed.map(({ name, why }) => `database ${name} was not compared: ${why}`)],
      uncompared: [
        ...declared.unread.map((role) => `the password of ${role}`),
        ...closed.map(({ name }) => `database ${name}`),
      ],
    }
  } catch (error) {
    if (!(error instanceof AppError) || error.kind !== 'refused') throw error
    const warnings = [`roles were not compared: ${error.message}`]
    return { drift: [], lockedOut: [], warnings, uncompared: ['everything'] }
  }
}

/** The same document when there is no connection: what the store says of the backups is known all the same. */
export async function healthWithout(
  context: Context,
  error: AppError,
  see: (seen: Seen) => void = () => {},
): Promise<Health> {
  const now = new Date()
  const name = nameOf(error)
  const facts = await backupFacts(context, now, undefined).catch(() => 'unread' as const)
  const known = facts === 'unread' ? undefined : facts
  see({ migrations: undefined, backups: known ?? [] })
  const noConnection: Condition = {
    ...{ name, severity: 'error', roles: [], message: error.message, since: now.toISOString() },
    hint: connectionHints[name],
  }
  return judgeHealth({
    conditions: worstFirst([noConnection, ...(known ? conditionsOfBackups(context, known, now) : [])]),
    unlooked: ['what is declared', ...(facts === 'unread' ? ['the backups'] : [])],
    backups: known && judgeBackups(known, { maxAgeMs: context.loaded.config.check.backupMaxAge, now }),
    connectionError: error.message,
    findings: undefined,
    migrations: {
      initialized: false,
      appliedCount: 0,
      currentVersion: undefined,
      pending: [],
      problems: [],
      warnings: [],
    },
    drift: [],
  })
}

function nameOf({ kind, reason }: AppError): keyof typeof connectionHints {
  if (reason === 'standby') return 'database-in-recovery'
  return kind === 'refused' ? 'database-refused' : 'database-unreachable'
}
