import { describe } from '../../config/connection.ts'
import { usage, withReport } from '../../errors.ts'
import { asAppError } from '../../run/failure.ts'
import { durationMs, durationPattern } from '../../units.ts'
import { refuseNothingToWaitFor } from '../../up/schema-version.ts'
import { findTargets, mainTarget, notTarget } from '../../up/targets.ts'
import { waitForVersion } from '../../up/wait-for.ts'
import { runAfterwards } from '../child.ts'
import type { Command, CommandContext } from '../command.ts'

/** `migrate wait-for`: waits until the schema is new enough for an application, then runs the command, if one is given. */
export const migrateWaitFor: Command = {
  name: 'migrate wait-for',
  details:
    'Waits for these versions; without any, for every file of migrate.dir. Made for pods of applications: it needs no lock, no files and no\n' +
    'privilege but to read the history. In formats that apply files in order, a newer version is enough. Revisions of Alembic are compared\n' +
    'with its table, which does not know their order: name every revision that is new enough; any one of them suffices.',
  args: { usage: '[VERSION…]', min: 0, max: 1_000 },
  rest: true,
  flags: { timeout: { type: 'string', value: 'DURATION', help: 'How long to wait. Default: wait.timeout.' } },
  startsAnew: true,
  exits: {
    unreachable: 'the schema is not new enough, or the database not ready, within the timeout',
    refused: 'credentials, TLS, or no privilege to read the history',
    history: 'the history table is not that of migrate.format',
  },
  async run(context) {
    const { args, loaded, out, rest } = context
    const startedAt = performance.now()
    const wanted = [...new Set(args)]
    const timeoutMs = timeoutOf(context) ?? loaded.config.wait.timeout
    const target = mainTarget(findTargets(context, true)) ?? notTarget(context)
    refuseNothingToWaitFor(target, wanted)
    const fields = () => ({
      version: wanted.length === 1 ? wanted[0] : null,
      versions: wanted,
      waited_ms: Math.round(performance.now() - startedAt),
    })
    try {
      const current = await waitForVersion(context, target, { wanted, timeoutMs })
      const waited = fields()
      if (rest.length === 0)
        out.print(
          `${describe(context.connection())} is new enough: it is at ${current ?? 'no version'} (waited ${(waited.waited_ms / 1000).toFixed(1)} s)`,
        )
      return {
        fields: { ...waited, current_version: current ?? null },
        ...(rest.length > 0 && { after: () => runAfterwards(context) }),
      }
    } catch (error) {
      throw withReport(asAppError(error), { ...fields(), current_version: null })
    }
  },
}

/** @throws {AppError} `usage` */
function timeoutOf({ flags: { timeout } }: CommandContext): number | undefined {
  if (typeof timeout !== 'string') return undefined
  if (durationPattern.test(timeout)) return durationMs(timeout)
  throw usage(`--timeout must be a number and a unit, not ${timeout}`, { hint: 'write it like --timeout 5m' })
}
