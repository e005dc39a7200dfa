import * as z from 'zod'
import { durationMs, durationPattern } from './units.ts'

const durationHelp = 'write a number and a unit, like 30s or 6h'

/** A duration with its default; the output is in milliseconds. */
export const duration = (fallback: string) =>
  z.string({ error: durationHelp }).regex(durationPattern, durationHelp).transform(durationMs).prefault(fallback)

/** Where a secret is found. It never stands in the file itself. */
export const secret = z.union(
  [z.strictObject({ env: z.string().min(1) }), z.strictObject({ file: z.string().min(1) })],
  {
    error: 'a secret is given as { env: NAME } or { file: PATH }, never as text',
  },
)

/** Where a secret is found: `{ env: NAME }` or `{ file: PATH }`. */
export type SecretSource = z.output<typeof secret>

/** A whole number from 0 on. */
export const count = z.int().min(0)
