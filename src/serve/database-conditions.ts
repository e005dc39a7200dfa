import type { Condition } from '../check/condition-catalogue.ts'
import { connectionHints } from '../check/health-conditions.ts'
import type { Log } from '../log.ts'
import { replaceConditions } from './conditions.ts'
import type { ProbeAnswer, ServeState } from './state.ts'

const names = ['database-unreachable', 'database-refused', 'database-in-recovery'] as const

/** A server that is restarted is away for some seconds: nobody has to be told of that. */
const patienceMs = 60_000

/**
 * Notes what the looks at the database find: a condition once it has lasted a minute, with the instant of its start.
 * @returns is called with the result of each look
 */
export function watchDatabaseHealth(state: ServeState, log: Log): (health: ProbeAnswer) => void {
  let since: Date | undefined
  return (health) => {
    const name = nameOf(health)
    const now = new Date()
    since = name === undefined ? undefined : (since ?? now)
    const lasts = since !== undefined && now.getTime() - since.getTime() >= patienceMs
    if (name !== undefined && !lasts) return
    const open: Condition[] =
      name === undefined || since === undefined
        ? []
        : [
            {
              ...{ name, severity: 'error', roles: [], hint: connectionHints[name], since: since.toISOString() },
              message: health.reason ?? health.text,
            },
          ]
    replaceConditions(state, names, open, { log, now, told: names })
  }
}

function nameOf({ ok, kind, standby }: ProbeAnswer): (typeof names)[number] | undefined {
  if (ok) return undefined
  if (standby) return 'database-in-recovery'
  return kind === 'unreachable' ? 'database-unreachable' : kind === 'refused' ? 'database-refused' : undefined
}
