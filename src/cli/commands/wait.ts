import { describe } from '../../config/connection.ts'
import { openWhenReady } from '../../postgres/wait.ts'
import { runAfterwards } from '../child.ts'
import type { Command } from '../command.ts'

/** `wait`: returns as soon as the database accepts work, then runs the command, if one is given. */
export const wait: Command = {
  name: 'wait',
  details: 'Its name resolves, TCP, TLS and authentication succeed, and it is not in recovery.',
  rest: true,
  flags: { 'allow-standby': { type: 'boolean', help: 'A standby is good enough.' } },
  startsAnew: true,
  exits: { unreachable: 'not ready within wait.timeout', refused: 'credentials, TLS or a missing database' },
  async run(context) {
    const { loaded, connection, out, log, signal, flags, runId } = context
    const { timeout, patient } = loaded.config.wait
    const startedAt = performance.now()
    const where = connection()
    const session = await openWhenReady(where, {
      applicationName: `pgbosun ${runId}`,
      log,
      signal,
      patient,
      timeoutMs: timeout,
      deadline: startedAt + timeout,
      lockDatabase: loaded.config.lock.database,
      allowStandby: flags['allow-standby'] === true,
    })
    await session?.end()
    const waitedMs = Math.round(performance.now() - startedAt)
    if (context.rest.length === 0)
      out.print(`${describe(where)} accepts work (waited ${(waitedMs / 1000).toFixed(1)} s)`)
    return { fields: { waited_ms: waitedMs }, ...(context.rest.length > 0 && { after: () => runAfterwards(context) }) }
  },
}
