import { AppError } from '../../errors.ts'
import type { Item } from '../../plan.ts'
import type { Output } from '../../run/output.ts'
import type { Run } from '../../run/run.ts'
import { createStory, type Story } from '../../run/story.ts'
import { counted, someLines } from '../../units.ts'
import { importPlace } from '../import-of.ts'
import { stepNames } from '../steps.ts'
import { type PlanInputs, planSteps } from '../story-of-plan.ts'
import { differences, elsewhere } from './compare.ts'
import { type Allowed, unreviewed } from './gate.ts'
import { reviewedPlan } from './now.ts'
import type { Gate, Review } from './types.ts'

/**
 * Plans everything again, under the lock, and compares it with the reviewed plan before anything is changed. Where nothing is pending,
 * because the plan was applied already, the rest need not fit.
 *
 * @returns the gate for the steps, because what they plan may have changed once they come to it
 * @throws {AppError} `history` with the first differences
 */
export async function reviewAgain(run: Run, story: Story, inputs: PlanInputs, review: Review): Promise<Gate> {
  await openCreatedMeanwhile(run)
  const silent = createStory(stepNames({ imports: importPlace(run.context) }), quiet(run.context.out), {
    planning: true,
  })
  const planned = await planSteps(run, silent, inputs)
  const at = new Date()
  const now = await reviewedPlan(run, { ...inputs, story: silent, planned, at })
  const other = elsewhere(review.plan, now)
  if (other !== undefined) throw doesNotFit(review, [other])
  const isPending = now.steps.some(({ changes }) => changes.length > 0)
  const found = isPending ? differences(review.plan, now, { at, maxAgeMs: review.maxAgeMs }) : []
  if (found.length > 0) throw doesNotFit(review, found)
  return gateOf(story, review, planned)
}

/** Another run may have created the database while this one waited for its locks. 3D000: there is no such database. */
async function openCreatedMeanwhile(run: Run): Promise<void> {
  if (run.target) return
  try {
    await run.openTarget()
  } catch (error) {
    if ((error as { code?: string }).code !== '3D000') throw error
  }
}

function gateOf(story: Story, review: Review, allowed: Allowed): Gate {
  return (step, show) =>
    (changes, options = {}) => {
      const strange = options.refused ? [] : unreviewed(step, options.items?.() ?? changes, allowed)
      if (strange.length > 0) throw changedMeanwhile(review, step, strange, story)
      show(changes, options)
    }
}

const quiet = (out: Output): Output => ({ ...out, print() {}, ended() {} })

const again = 'make a new plan with `pgbosun plan --out FILE`, and review it'

function doesNotFit({ file }: Review, found: string[]): AppError {
  const [first = '', ...others] = found
  return new AppError('history', `the reviewed plan ${file} no longer fits, and nothing was changed: ${first}`, {
    hint: again,
    report: { differences: found },
    ...(others.length > 0 && { excerpt: someLines(others.map((text) => `also: ${text}`)).join('\n') }),
  })
}

/** Stops before a change that was not reviewed, and says what was done before. */
function changedMeanwhile({ file }: Review, step: string, strange: Item[], story: Story): AppError {
  const found = strange.map(({ action, object, reason }) => `${step}: ${action} ${object} (${reason})`)
  const done = story.steps.filter(({ changes }) => changes.length > 0)
  const said =
    done.length === 0
      ? 'nothing was changed'
      : `done before that: ${done.map(({ name, changes }) => `${counted(changes.length, 'change')} of ${name}`).join(', ')}`
  return new AppError('history', `what the reviewed plan ${file} does not have was not applied: ${found[0]}`, {
    hint: `${again}: it will have what is left`,
    report: { differences: found },
    excerpt: [said, ...someLines(found.slice(1).map((text) => `also: ${text}`))].join('\n'),
  })
}
