import * as z from 'zod'
import { type SecretSource, secret } from './fields.ts'
import { parseDatabaseUrl } from './url.ts'

/** A database URL: as text if it has no password, otherwise where to read it. */
export type UrlSource = string | SecretSource

/** For editors, which only know the pattern: a URL without `user:password@`. */
const withoutCredentials = /^postgres(?:ql)?(?:\+\w+)?:\/\/(?:[^:@/?#]+@)?[^@/?#]*(?:\/[^?#@]*)?(?:\?[^#@]*)?$/

/** The schema of a {@link UrlSource}. */
export const urlSource = z.union(
  [
    z
      .string()
      .regex(withoutCredentials, { abort: true })
      .refine((url) => !mayHoldSecret(url), { abort: true }),
    ...secret.options,
  ],
  {
    error: 'write { env: NAME } or { file: PATH }, which hold the URL, or as text a URL without a password',
  },
)

/** Names of parameters and settings that hold a secret. `passfile` and `sslkey` are paths. */
const secretNames = /pass(?!file$)|pwd|secret|token|credential|(client|server|api|private)_?key/i

/** Whether a URL holds a password, or something that may be a piece of one: what cannot be read, counts as that. */
function mayHoldSecret(url: string): boolean {
  try {
    const { user, password } = parseDatabaseUrl(url, 'the URL')
    const named = [...new URLSearchParams(url.split('?')[1])].some(
      ([name, value]) => secretNames.test(name) || (name === 'options' && secretNames.test(value)),
    )
    return named || password !== undefined || /[:@]/.test(user ?? '')
  } catch {
    return true
  }
}
