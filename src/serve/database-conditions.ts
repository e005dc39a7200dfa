import type { Condition } from '../check/condition-catalogue.ts'
import { connectionHints } from '../check/health-conditions.ts'
import type { Log } from '../log.ts'
import { replaceConditions } from './conditions.ts'
import type { ProbeAnswer, ServeState } from './state.ts'

const names = ['database-unreachable', 'database-refused', 'database-in-recovery'] as const

/** A server that is restarted is away for some seconds: nobody has to be told of that. */
const patienceMs = 60_000

/** What a look that is not all right has found all the same: others tell of that. */
const seen: readonly ProbeAnswer['kind'][] = ['pending', 'history']

/**
 * Notes what the looks at the database find: a condition once it has lasted a minute, with the instant of its start. That they fail for any
 * other reason is noted as well, because then nobody knows how the database is.
 * @returns is called with the result of each look
 */
export function watchDatabaseHealth(state: ServeState, log: Log): (health: ProbeAnswer) => void {
  let since: Date | undefined
  let unseenSince: Date | undefined
  return (health) => {
    const name = nameOf(health)
    const now = new Date()
    const isUnseen = !health.ok && name === undefined && !seen.includes(health.kind)
    unseenSince = isUnseen ? (unseenSince ?? now) : undefined
    const isLong = unseenSince !== undefined && now.getTime() - unseenSince.getTime() >= patienceMs
    state.unseen = isLong ? (health.reason ?? health.text) : undefined
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
