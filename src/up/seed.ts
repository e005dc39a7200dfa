import type { Item } from '../plan.ts'
import type { Session } from '../postgres/session.ts'
import type { Context } from '../run/context.ts'
import type { Journal } from '../run/journal.ts'
import type { Run } from '../run/run.ts'
import { applySeeds } from '../seed/apply.ts'
import { seedHistory } from '../seed/history.ts'
import { planSeeds, type SeedStep } from '../seed/plan.ts'
import { readSeeds } from '../seed/read.ts'
import type { Seed, SeedResult } from '../seed/types.ts'
import { warnOfIsolation } from './isolation/choose.ts'
import { withFileSession } from './isolation/session.ts'
import { defaultRole } from './owner.ts'
import { placeOf, refuseUrlSettings } from './place.ts'
import { findTargets, mainTarget } from './targets.ts'

/** The seeds of this environment; read before anything is changed. */
export const seedFiles = async ({ loaded, isTarget }: Context): Promise<Seed[]> =>
  !isTarget() ? [] : readSeeds(loaded.config.seeds, { baseDir: loaded.baseDir, environment: loaded.config.environment })

/** Seeds that are new or changed; all of them with `force`, or where the database does not exist yet. */
export async function planSeedStep(run: Run, seeds: Seed[], { force = false } = {}): Promise<SeedStep[]> {
  const { context, target } = run
  const steps = planSeeds(seeds, target && seeds.length > 0 ? await seedHistory(run.reads(target)) : [], { force })
  if (target && steps.length > 0) await refuseUrlSettings(context, target.sql, seedTarget(context))
  return steps
}

/** The same, to be reviewed. */
export const seedItem = ({ seed, change }: SeedStep): Item => ({ ...change, sha256: seed.checksum })

/** Asks at once what {@link planSeedStep} will need to know. */
export async function askAboutSeeds(run: Run, seeds: Seed[]): Promise<void> {
  if (run.target && seeds.length > 0) await seedHistory(run.reads(run.target))
}

/** Loads exactly what was planned. */
export async function applySeedStep(run: Run, steps: SeedStep[], journal: Journal): Promise<SeedResult[]> {
  const session = await run.openTarget()
  const place = await placeOf(run.context, session.sql, seedTarget(run.context))
  const database = run.context.connection().database
  const work = { own: session, database, role: place.role, seeds: steps.map(({ seed }) => seed.name) }
  return withFileSession(run, work, ({ session: { sql }, recorder }) =>
    applySeeds(sql, steps, {
      place,
      recorder,
      toolVersion: run.context.version,
      beforeChange: journal.beforeChange,
      guard: run.guard,
      log: run.context.log,
    }),
  )
}

/** For a plan: warns if the seeds could not be loaded without giving away rights. */
export async function warnOfSeeds({ context }: Run, { sql }: Session): Promise<void> {
  await warnOfIsolation(context, sql, await defaultRole(context, sql, seedTarget(context)))
}

const seedTarget = (context: Context) => ({ role: mainTarget(findTargets(context, false))?.role })
