import type { Item } from '../plan.ts'
import type { Session } from '../postgres/session.ts'
import type { Context } from '../run/context.ts'
import type { Journal } from '../run/journal.ts'
import { withProgress } from '../run/progress.ts'
import type { Run } from '../run/run.ts'
import { seedHistory } from '../seed/history.ts'
import { planSeeds, type SeedStep } from '../seed/plan.ts'
import type { SeedProgress } from '../seed/progress.ts'
import { readSeeds, withChecksums } from '../seed/read.ts'
import type { Seed, SeedResult } from '../seed/types.ts'
import { megabytes } from '../units.ts'
import { warnOfIsolation } from './isolation/choose.ts'
import { withFileSession } from './isolation/session.ts'
import { defaultRole } from './owner.ts'
import { placeOf, refuseUrlSettings } from './place.ts'
import { findTargets, mainTarget } from './targets.ts'

/**
 * The seeds of this environment; read before anything is changed.
 * @param reviewed with the checksum of each, for a plan that is reviewed
 */
export async function seedFiles(
  { loaded, isTarget }: Context,
  { reviewed = false }: { reviewed?: boolean } = {},
): Promise<Seed[]> {
  if (!isTarget()) return []
  const { config, baseDir } = loaded
  const seeds = await readSeeds([config.seeds].flat(), { baseDir, environment: config.environment })
  return reviewed ? withChecksums(seeds) : seeds
}

/**
 * Seeds that are new or changed, in the order that their tables need; all of them with `force`, or where the database does not exist yet.
 * @param early the tables may not be there yet: nothing is checked
 * @throws {AppError} `seed` when one of them cannot be loaded
 */
export async function planSeedStep(
  run: Run,
  seeds: Seed[],
  { force = false, early = false } = {},
): Promise<SeedStep[]> {
  const { context, target } = run
  if (!target || seeds.length === 0) return planSeeds(seeds, [])
  const history = await seedHistory(run.reads(target))
  const known = await withChecksums(seeds, history)
  const syncs = known.some((seed) => seed.kind === 'rows' && seed.mode === 'sync')
  const differs = early || !syncs ? undefined : await (await checking()).findDifferences(target.sql, known, history)
  const steps = planSeeds(known, history, { force, ...(differs && { differs }) })
  if (steps.length === 0) return steps
  await refuseUrlSettings(context, target.sql, seedTarget(context))
  return early ? steps : (await checking()).checkSteps(target.sql, steps)
}

/** Only loaded where something has to be loaded, or compared. */
const checking = () => import('../seed/check.ts')

/** The same, to be reviewed. */
export const seedItem = ({ seed, change }: SeedStep): Item => ({
  ...change,
  ...(seed.checksum !== undefined && { sha256: seed.checksum }),
})

/** Asks at once what {@link planSeedStep} will need to know. */
export async function askAboutSeeds(run: Run, seeds: Seed[]): Promise<void> {
  if (run.target && seeds.length > 0) await seedHistory(run.reads(run.target))
}

/** Loads exactly what was planned. */
export async function applySeedStep(
  run: Run,
  steps: SeedStep[],
  journal: Journal,
  { acceptDeletes = false } = {},
): Promise<SeedResult[]> {
  const { applySeeds } = await import('../seed/apply.ts')
  const session = await run.openTarget()
  const place = await placeOf(run.context, session.sql, seedTarget(run.context))
  const database = run.context.connection().database
  const work = { own: session, database, role: place.role, seeds: steps.map(({ seed }) => seed.name) }
  return withFileSession(run, work, ({ session: { sql }, recorder }) =>
    withProgress(run.context, 'MB of seeds', (onProgress) =>
      applySeeds(sql, steps, {
        place,
        recorder,
        acceptDeletes,
        toolVersion: run.context.version,
        beforeChange: journal.beforeChange,
        guard: run.guard,
        onProgress: ({ bytes, totalBytes, ...at }) =>
          onProgress(megabytes(bytes), megabytes(totalBytes), undefined, undefined, rowsAt(at)),
        log: run.context.log,
      }),
    ),
  )
}

const rowsAt = ({ name, rows, ms }: Pick<SeedProgress, 'name' | 'rows' | 'ms'>) => ({
  file: name,
  rows,
  rowsPerSecond: Math.round((rows / Math.max(ms, 1)) * 1000),
})

/** For a plan: warns if the seeds could not be loaded without giving away rights. */
export async function warnOfSeeds({ context }: Run, { sql }: Session): Promise<void> {
  await warnOfIsolation(context, sql, await defaultRole(context, sql, seedTarget(context)))
}

const seedTarget = (context: Context) => ({ role: mainTarget(findTargets(context, false))?.role })
