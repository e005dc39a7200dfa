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

const inVariable = z.strictObject({ env: noUrl('the name of a variable').min(1) })
const inFile = z.strictObject({ file: noUrl('the path of a file').min(1) })

/** How long an answer is used before it is asked for again. */
const ttl = duration('10m')

/** A program that prints the secret. It gets a few variables of the environment, and those that are named. */
const ofCommand = z.strictObject({
  command: z.array(z.string().min(1).refine(predicates.hasNoZeroByte, 'an argument cannot contain a zero byte')).min(1),
  env: z.array(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'write the name of a variable')).optional(),
  ttl,
})

/** A server that answers with the secret, as it is or in JSON. */
const ofHttp = z.strictObject({
  http: z
    .string()
    .refine(
      predicates.isSecretUrl,
      'write https://…, without a password; http:// only to localhost, 127.0.0.1, [::1] or a link-local address like 169.254.169.254',
    ),
  headers: z
    .record(
      z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'write the name of a header'),
      z.union([z.string().regex(/^[\x20-\x7e]*$/), inVariable, inFile]),
    )
    .refine(
      predicates.writesNoSecretHeader,
      'a header whose name says that it holds a secret is written as { env: NAME } or { file: PATH }',
    )
    .optional(),
  json: z
    .string()
    .regex(/^[^.]+(\.[^.]+)*$/, 'write keys with dots between them, like data.password')
    .optional(),
  ttl,
})

/** Where to read a secret. The configuration file never holds the secret itself. */
export const secret = z.union([inVariable, inFile, ofCommand, ofHttp], {
  error:
    'write a secret as { env: NAME }, { file: PATH }, { command: [PROGRAM, ARGUMENT, …] } or { http: URL }, never as text',
})

/** Where to read a secret: a variable, a file, what a command prints, or what a server answers. */
export type SecretSource = z.output<typeof secret>

/** The password of a connection; also a token that is signed with credentials of AWS, for a database in RDS. */
export const loginSecret = z.union(
  [
    ...secret.options,
    z.strictObject({
      awsRds: z.strictObject({ region: z.string().regex(/^[a-z0-9-]+$/, 'write a name like eu-central-1') }),
    }),
  ],
  {
    error:
      'write a password as { env: NAME }, { file: PATH }, { command: [PROGRAM, ARGUMENT, …] }, { http: URL } or { awsRds: { region: NAME } }, never as text',
  },
)

/** Where the password of a connection is. */
export type LoginSecret = z.output<typeof loginSecret>

/** A whole number, 0 or more. */
export const count = z.int().min(0)

/** An IANA time zone that this Node knows. */
export const timeZone = z.string().refine(predicates.isTimeZone, {
  error: ({ input }) => `unknown time zone ${String(input)}: write an IANA name like Europe/Berlin`,
})
