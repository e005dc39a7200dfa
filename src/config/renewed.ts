import { isAsked, type Surroundings } from './asked.ts'
import type { SecretSource } from './fields.ts'
import { secretReader } from './secrets.ts'

/** Asks for a secret, if it has to be asked for and is not known, or no longer fresh. Parameters and errors as those of `renew`. */
export async function renewed(source: unknown, what: string, around: Surroundings, sinceMs?: number): Promise<void> {
  if (isAsked(source)) await (await import('./ask.ts')).renew(source, what, around, sinceMs)
}

/** Like `secretReader`, but also asks for what has to be asked for; the code for that is only loaded then. */
export function askingReader({ env, baseDir }: Surroundings): (source: SecretSource, what: string) => Promise<string> {
  const read = secretReader(env, baseDir)
  return async (source, what) => {
    await renewed(source, what, { env, baseDir })
    return read(source, what)
  }
}
