import { usage } from '../errors.ts'
import type { Context, Result } from '../run/context.ts'
import { withSteps } from '../run/journal.ts'
import { withRun } from '../run/run.ts'
import { createStory, jsonSteps } from '../run/story.ts'
import { adviceOnBackupUser } from './backup-user.ts'
import { importPlace } from './import-of.ts'
import { readDeclared } from './roles/declared.ts'
import { seedFiles } from './seed.ts'
import { stepNames } from './steps.ts'
import { type PlanInputs, planSteps } from './story-of-plan.ts'
import { migrateTargets } from './targets.ts'

/** Exit 2: what the migrations of a whole database are is only known once it is there. */
const notReviewable = (file: string) =>
  usage(`the plan cannot be written to ${file}: what comes after the import of a whole database is not known yet`, {
    hint: 'run `pgbosun import` first, or `pgbosun up` without a reviewed plan',
  })

/**
 * The result of `plan` and of `up --dry-run`.
 * @param outFile where the plan is written, for `up --plan`
 */
export async function planUp(context: Context, outFile?: string): Promise<Result> {
  const inputs: PlanInputs = {
    targets: await migrateTargets(context, { running: true }),
    seeds: await seedFiles(context, { reviewed: outFile !== undefined }),
    declared: await readDeclared(context),
  }
  const story = createStory(stepNames({ imports: importPlace(context) }), context.out, { planning: true })
  const startedAt = performance.now()

  const reviewed = await withRun(context, { locks: 'none', mayBeMissing: true }, async (run) => {
    story.reset()
    await story.step('wait', async () => undefined, undefined, startedAt)
    for (const line of await adviceOnBackupUser(context, run.cluster.sql)) context.out.warn(line)
    const planned = await planSteps(run, story, inputs)
    if (outFile === undefined) return undefined
    if (planned.unknown !== undefined) throw notReviewable(outFile)
    const { reviewedPlan } = await import('./reviewed/now.ts')
    return reviewedPlan(run, { ...inputs, story, planned, at: new Date() })
  }).catch((error: unknown) => {
    throw withSteps(error, story)
  })
  if (outFile !== undefined && reviewed) {
    const { writePlan } = await import('./reviewed/file.ts')
    context.out.print(`written to ${await writePlan(context, outFile, reviewed)}`)
  }
  return { fields: { steps: jsonSteps(story.steps), ...(outFile !== undefined && { out: outFile }) } }
}
