import { besideDatabase } from '../backup/beside.ts'
import { type BackupFacts, judgeBackups } from '../check/backups.ts'
import { adviceOnCollations } from '../check/collations.ts'
import { type Health, judgeHealth, type ShadowHealth } from '../check/health.ts'
import { adviceOnLockDatabase } from '../check/lock-database.ts'
import { writtenSchedules } from '../config/schedules.ts'
import { AppError } from '../errors.ts'
import { isDone } from '../migrate/plan/verify.ts'
import { type Change, ofOneKind, type Warning } from '../plan.ts'
import type { Context } from '../run/context.ts'
import type { Run } from '../run/run.ts'
import { readFirstEventAt } from '../state/events.ts'
import { readHold } from '../state/hold.ts'
import { besideHint } from '../store/persistence.ts'
import { accessAdvice } from './access-advice.ts'
import { assertionResults } from './assertions.ts'
import { adviceOnBackupUser } from './backup-user.ts'
import { backupFacts, earlier } from './backups.ts'
import { findingsOf, lookAtMigrations } from './check.ts'
import { findClientMissing } from './client-missing.ts'
import { adviceOnHold } from './hold.ts'
import { readLeftovers } from './leftovers.ts'
import { findUnsendable, type MigrateStep } from './migrate.ts'
import type { Declared } from './roles/declared.ts'
import { roleDrift } from './roles/read-drift.ts'
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
}

/** Everything that `check` and `status` say about the target database. */
export async function readHealth(
  run: Run,
  { target, declared, shadow = false, advice = false }: Expected,
): Promise<Health> {
  const looking = lookAtMigrations(run, target)
  const [step, findings] = await Promise.all([looking, findingsOf(run, async () => looking)])
  const applied = step?.history.applied ?? []
  const revision = target?.command && (await revisionOfCommand(run, target))
  const { drift, lockedOut, warnings, uncompared } = await driftOrWarning(run, declared)
  const now = new Date()
  const facts = await backupFacts(run.context, now, await knownSince(run, applied))
  const backups = facts && judgeBackups(facts, { maxAgeMs: run.context.loaded.config.check.backupMaxAge, now })
  const missing = await findClientMissing(run.context.loaded, run.cluster.serverVersion)
  if (missing) backups?.errors.push(`no backup can be made here: ${missing.message} (${missing.hint})`)
  return judgeHealth({
    connectionError: null,
    backups,
    findings,
    migrations: {
      initialized: applied.length > 0 || revision !== undefined,
      ...migrationsOf(step),
      ...(revision !== undefined && { currentVersion: revision }),
      warnings: [...(step?.plan.warnings ?? []), ...warnings],
    },
    drift,
    uncompared,
    lockedOut,
    assertions: await assertionResults(run),
    advice: advice
      ? [
          ...(await adviceFor(run)),
          ...(await accessAdvice(run, declared?.desired)),
          ...(facts ? await adviceOnStore(run, facts) : []),
          ...adviceOnTestRestores(run.context.loaded, facts),
        ]
      : [],
    leftovers: await readLeftovers(run.cluster.sql),
    held: await heldInWords(run),
    ...(shadow && step && { shadow: await shadowHealth(run, step) }),
  })
}

async function heldInWords({ context, target }: Run): Promise<string | undefined> {
  const hold = target && (await readHold(target.sql))
  return hold && adviceOnHold(hold, context.connection().database)
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

async function adviceOnStore({ cluster }: Run, facts: BackupFacts[]): Promise<string[]> {
  const [first] = facts
  // all databases are in the same stores
  const problem = first && (await besideDatabase(cluster.sql, first.stores ?? [first.store]))
  return problem === undefined ? [] : [`${problem}: ${besideHint}`]
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
    const { ensure, grant, absent, lockedOut, open } = await roleDrift(run, declared)
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
      warnings: ofOneKind(open),
      uncompared: declared.unread.map((role) => `the password of ${role}`),
    }
  } catch (error) {
    if (!(error instanceof AppError) || error.kind !== 'refused') throw error
    const warnings = [`roles were not compared: ${error.message}`]
    return { drift: [], lockedOut: [], warnings, uncompared: ['everything'] }
  }
}

/** The same document when there is no connection. */
export const healthWithout = (context: Context, error: AppError): Health => {
  context.out.print(`connection   failed: ${error.message}`.split('\n'))
  return judgeHealth({
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
