import * as z from 'zod'
import { durationMs, durationPattern, sizeBytes, sizePattern } from '../units.ts'
import { predicates } from './predicates.ts'

const durationHelp = 'write a number and a unit, like 30s or 6h'

/** A duration without a default; the output is in milliseconds. */
export const durationText = z.string({ error: durationHelp }).regex(durationPattern, durationHelp).transform(durationMs)

/** A duration with its default; the output is in milliseconds. */
export const duration = (fallback: string) => durationText.prefault(fallback)

const sizeHelp = 'write a number and a unit, like 500MB or 20GiB'

/** A size with its default; the output is in bytes. */
export const size = (fallback: string) =>
  z.string({ error: sizeHelp }).regex(sizePattern, sizeHelp).transform(sizeBytes).prefault(fallback)

/** A path or a name. A URL there would hold a password that `config show` would print. */
export const noUrl = (what: string) =>
  z.string().refine(predicates.isNoUrl, { error: `this is a URL, but ${what} is expected` })

/** Where to read a secret. The configuration file never holds the secret itself. */
export const secret = z.union(
  [
    z.strictObject({ env: noUrl('the name of a variable').min(1) }),
    z.strictObject({ file: noUrl('the path of a file').min(1) }),
  ],
  {
    error: 'write a secret as { env: NAME } or { file: PATH }, never as text',
  },
)

/** Where to read a secret: `{ env: NAME }` or `{ file: PATH }`. */
export type SecretSource = z.output<typeof secret>

/** A whole number, 0 or more. */
export const count = z.int().min(0)

/** An IANA time zone that this Node knows. */
export const timeZone = z.string().refine(predicates.isTimeZone, {
  error: ({ input }) => `unknown time zone ${String(input)}: write an IANA name like Europe/Berlin`,
})
