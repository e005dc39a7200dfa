import { planUp } from '../../up/plan.ts'
import type { Command } from '../command.ts'

/** `plan`: the same planners as `up`, without lock or writes. */
export const plan: Command = {
  name: 'plan',
  summary: 'Show everything that `up` would change. Takes no lock and writes nothing.',
  flags: { 'exit-code': { type: 'boolean', help: 'Exit 3 when something is pending.' } },
  exits: {
    pending: 'with --exit-code: something is pending',
    unreachable: 'not ready within wait.timeout',
    refused: 'credentials, TLS or an undeclared missing database',
    migration: 'a pending file ends in an open comment or quote, or holds what only psql knows',
    history: 'migration files and history do not fit together',
    lint: 'a pending file breaks a lint rule set to error, or has its own BEGIN or COMMIT',
    unhealthy: 'nothing is pending, and the check found an error',
  },
  async run(context) {
    const result = await planUp(context)
    const pending = (result.fields.steps as { changes: unknown[] }[]).some(({ changes }) => changes.length > 0)
    return { ...result, exitCode: pending && context.flags['exit-code'] === true ? 3 : 0 }
  },
}
