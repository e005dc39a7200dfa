import type { Condition } from '../check/condition-catalogue.ts'
import { resolveBackupConnection } from '../config/resolve.ts'
import type { AppError } from '../errors.ts'
import { silentLog } from '../log.ts'
import { openSession } from '../postgres/connect.ts'
import { findTools } from '../programs/pgtools.ts'
import type { Context } from '../run/context.ts'
import { findClientMissing } from '../up/client-missing.ts'
import { replaceConditions } from './conditions.ts'
import type { ServeState } from './state.ts'

/** Longer than a server takes that is only busy. What is not known then is asked again a minute later. */
const timeoutMs = 20_000

/**
 * Says at the start of `serve`, and not when the first backup is due, that there is no pg_dump for the server.
 * @param onFound called with its release, `15.18`
 */
export function watchClient(
  context: Context,
  state: ServeState,
  onFound: (version: string) => void = () => {},
): { turn(): void } {
  const { log, signal } = context
  let busy = false
  let found = false
  const look = async () => {
    const serverVersion = await readServerVersion(context)
    const missing = await findClientMissing(context.loaded, serverVersion)
    if (!missing) onFound((await findTools(serverVersion, { path: context.loaded.env.PATH })).version)
    found = missing === undefined
    const now = new Date()
    const since = state.conditions.find(({ name }) => name === 'client-missing')?.since ?? now.toISOString()
    replaceConditions(state, ['client-missing'], missing ? [conditionOf(missing, since)] : [], { log, now })
  }
  return {
    turn() {
      if (busy || found || signal.aborted) return
      busy = true
      // a server that cannot be asked is another condition
      void look()
        .catch((error: Error) => log.debug({ problem: error.message }, 'could not ask the server for its version'))
        .finally(() => {
          busy = false
        })
    },
  }
}

const conditionOf = ({ message, hint = '' }: AppError, since: string): Condition => ({
  name: 'client-missing',
  severity: 'error',
  roles: [],
  message: `no backup can be made here: ${message}`,
  hint,
  since,
})

async function readServerVersion({ loaded: { config, env, baseDir }, signal }: Context): Promise<number> {
  const session = await openSession(resolveBackupConnection(config, env, baseDir), {
    // backup.databases may have only patterns
    database: config.lock.database,
    applicationName: 'pgbosun serve',
    log: silentLog,
    allowStandby: true,
    endWith: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
  })
  try {
    return session.serverVersion
  } finally {
    await session.end()
  }
}
