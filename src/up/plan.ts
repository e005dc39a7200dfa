import type { Context, Result } from '../run/context.ts'
import { withSteps } from '../run/journal.ts'
import { withRun } from '../run/run.ts'
import { createStory, jsonSteps } from '../run/story.ts'
import { adviceOnBackupUser } from './backup-user.ts'
import { importOf } from './import-of.ts'
import { readDeclared } from './roles/declared.ts'
import { seedFiles } from './seed.ts'
import { stepNames } from './steps.ts'
import { type PlanInputs, planSteps } from './story-of-plan.ts'
import { migrateTargets } from './targets.ts'

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
  const story = createStory(stepNames({ imports: importOf(context) !== undefined }), context.out, { planning: true })
  const startedAt = performance.now()

  const reviewed = await withRun(context, { locks: 'none', mayBeMissing: true }, async (run) => {
    story.reset()
    await story.step('wait', async () => undefined, undefined, startedAt)
    for (const line of await adviceOnBackupUser(context, run.cluster.sql)) context.out.warn(line)
    const planned = await planSteps(run, story, inputs)
    if (outFile === undefined) return undefined
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
