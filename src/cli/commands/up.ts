import { runUp } from '../../up/up.ts'
import { lockFlags } from '../args.ts'
import { runAfterwards } from '../child.ts'
import type { Command } from '../command.ts'
import { upExits } from '../exits.ts'

/** `up`: from empty to ready. */
export const up: Command = {
  name: 'up',
  rest: true,
  flags: {
    'dry-run': { type: 'boolean', help: 'Show what would be done, and stop (the same as `plan`).' },
    'after-restore': {
      type: 'boolean',
      help: 'Apply pending migrations to a database that a restore replaced, and end its hold.',
    },
    ...lockFlags,
  },
  exits: upExits,
  async run(context) {
    if (context.flags['dry-run'] === true) {
      const { planUp } = await import('../../up/plan.ts')
      return planUp(context)
    }
    const result = await runUp(context)
    return context.rest.length > 0 ? { ...result, after: () => runAfterwards(context) } : result
  },
}
