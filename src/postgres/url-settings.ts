import { placeOfSettings } from '../config/parameters.ts'
import { AppError, usage } from '../errors.ts'
import { quoteIdent } from '../sql/quote.ts'
import { setSettings } from '../sql/settings.ts'
import type { Db } from './db.ts'
import type { RunsAs } from './search-path.ts'
import { isServerError } from './server-error.ts'

/**
 * Tries the settings of a URL as the role that runs the files, without keeping them, so that a wrong name or value is found before
 * anything is run.
 * @throws {AppError} `usage`; `refused` for a setting that the role may not set
 */
export async function tryUrlSettings(
  db: Db,
  { role, urlSettings = {} }: Omit<RunsAs, 'path'>,
  source: string,
): Promise<void> {
  const as = role === undefined ? '' : `set local role ${quoteIdent(role)};`
  for (const [name, value] of Object.entries(urlSettings))
    try {
      await db.unsafe(`${as} ${setSettings({ [name]: value }, 'local ')} select`)
    } catch (cause) {
      if (!isServerError(cause)) throw cause
      throw refusal(cause, name, { role, source })
    }
}

function refusal(
  cause: { code: string; message: string },
  name: string,
  { role, source }: { role: string | undefined; source: string },
): AppError {
  const { code: sqlstate, message } = cause
  const said = `the setting ${name} in ${placeOfSettings(source)} cannot be used${role === undefined ? '' : ` by ${role}`}: ${message}`
  if (sqlstate !== '42501') return usage(said, { hint: 'correct it, or remove it', sqlstate, cause })
  return new AppError('refused', said, { hint: 'remove it: only superusers may set it', sqlstate, cause })
}
