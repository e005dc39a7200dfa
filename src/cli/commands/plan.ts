import { planUp } from '../../up/plan.ts'
import type { Command } from '../command.ts'

/** `plan`: the same planners as `up`, without lock or writes. */
export const plan: Command = {
  name: 'plan',
  flags: {
    'exit-code': { type: 'boolean', help: 'Exit 3 when something is pending.' },
    out: {
      type: 'string',
      value: 'FILE',
      help: 'Also write the plan, for a person to review and for `up --plan FILE`.',
    },
  },
  startsAnew: true,
  exits: {
    pending: 'with --exit-code: something is pending',
    unreachable: 'not ready within wait.timeout',
    refused: 'credentials, TLS or an undeclared missing database',
    migration: 'a pending file ends in an open comment or quote, or contains what only psql understands',
    history: 'the files do not match the history',
    lint: 'a pending file breaks a lint rule set to error, or has its own BEGIN or COMMIT',
    unhealthy: 'nothing is pending, but the check found an error',
  },
  async run(context) {
    const { out } = context.flags
    const result = await planUp(context, typeof out === 'string' ? out : undefined)
    const pending = (result.fields.steps as { changes: unknown[] }[]).some(({ changes }) => changes.length > 0)
    return { ...result, exitCode: pending && context.flags['exit-code'] === true ? 3 : 0 }
  },
}
