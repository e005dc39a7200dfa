import type { Loaded } from '../config/load.ts'
import { writtenSchedules } from '../config/schedules.ts'
import { type AppError, hasReason } from '../errors.ts'
import { findTools } from '../programs/pgtools.ts'

/**
 * Why no scheduled backup of a server can be made here: there is no pg_dump for it. Undefined if there is one, or no schedule.
 * @param serverVersion `server_version_num`
 */
export async function findClientMissing(
  { config, env }: Pick<Loaded, 'config' | 'env'>,
  serverVersion: number,
): Promise<AppError | undefined> {
  if (writtenSchedules(config.backup).length === 0) return undefined
  try {
    await findTools(serverVersion, { path: env.PATH })
    return undefined
  } catch (error) {
    if (hasReason(error, 'client-missing')) return error
    throw error
  }
}
