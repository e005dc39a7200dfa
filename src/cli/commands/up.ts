import { usage } from '../../errors.ts'
import { durationMs, durationPattern } from '../../units.ts'
import type { Review } from '../../up/reviewed/types.ts'
import { runUp } from '../../up/up.ts'
import { lockFlags } from '../args.ts'
import { runAfterwards } from '../child.ts'
import type { Command, CommandContext } from '../command.ts'
import { upExits } from '../exits.ts'

/** `up`: from empty to ready. */
export const up: Command = {
  name: 'up',
  job: 'up',
  rest: true,
  flags: {
    'dry-run': { type: 'boolean', help: 'Show what would be done, and stop (the same as `plan`).' },
    'after-restore': {
      type: 'boolean',
      help: 'Apply pending migrations to a database that a restore replaced, and end its hold.',
    },
    plan: {
      type: 'string',
      value: 'FILE',
      help: 'Apply exactly the plan that `plan --out FILE` wrote and a person reviewed; if that would do anything else by now, nothing (exit 21).',
    },
    'plan-max-age': { type: 'string', value: 'TIME', help: 'How old that plan may be, like 2h. Default: 24h.' },
    ...lockFlags,
  },
  exits: { ...upExits, history: 'the files do not match the history, or the reviewed plan no longer fits' },
  async run(context) {
    const review = await reviewFrom(context.flags)
    if (context.flags['dry-run'] === true) {
      const { planUp } = await import('../../up/plan.ts')
      return planUp(context)
    }
    const result = await runUp(context, review && { review })
    return context.rest.length > 0 ? { ...result, after: () => runAfterwards(context) } : result
  },
}

/** The reviewed plan of `--plan`, read before anything is asked of the database. @throws {AppError} `usage` */
async function reviewFrom(flags: CommandContext['flags']): Promise<Review | undefined> {
  const { plan: file, 'plan-max-age': maxAge } = flags
  if (typeof file !== 'string') {
    if (maxAge === undefined) return undefined
    throw usage('--plan-max-age needs --plan', { hint: 'say which plan may be that old: --plan FILE' })
  }
  if (flags['dry-run'] === true)
    throw usage('--dry-run and --plan exclude each other', { hint: 'use `pgbosun plan` to see what is pending now' })
  if (maxAge !== undefined && !durationPattern.test(String(maxAge)))
    throw usage(`--plan-max-age must be a time with a unit, not ${maxAge}`, { hint: 'write it like --plan-max-age 2h' })
  const { readPlan } = await import('../../up/reviewed/file.ts')
  return { file, plan: readPlan(file), maxAgeMs: durationMs(maxAge === undefined ? '24h' : String(maxAge)) }
}
