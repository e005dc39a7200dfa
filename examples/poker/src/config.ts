import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { log } from './log.ts'

/** One trailing newline is not part of a secret. */
export const readSecret = (file: string) => readFileSync(file, 'utf8').replace(/\r?\n$/, '')

const flag = z
  .enum(['true', 'false', ''])
  .default('false')
  .transform((value) => value === 'true')

const environment = z.object({
  PORT: z.coerce.number().int().min(0).max(65_535).default(3000),
  HOST: z.string().default('127.0.0.1'),
  USE_DB_REPOSITORY: z.enum(['true', 'false', 'only', '']).default('false'),
  USE_INPUT_VALIDATION: flag,
  USE_AUTH_MIDDLEWARE: flag,
  USE_EVENT_PERSISTENCE: flag,
  DATABASE_URL: z.string().optional(),
  DATABASE_PASSWORD_FILE: z.string().optional(),
  JWT_SECRET_FILE: z.string().optional(),
  /** Requests from one address in ten seconds. */
  RATE_LIMIT: z.coerce.number().int().min(1).default(200),
})

const modes = { true: 'dual', only: 'database', false: 'memory', '': 'memory' } as const

export type Config = ReturnType<typeof readConfig>

/** A setting that cannot be used. */
export class ConfigError extends Error {}

export function readConfig(env: NodeJS.ProcessEnv) {
  const { success, data, error } = environment.safeParse(env)
  if (!success) throw new ConfigError(z.prettifyError(error))
  const mode = modes[data.USE_DB_REPOSITORY]
  if (data.USE_EVENT_PERSISTENCE && mode === 'memory')
    throw new ConfigError('USE_EVENT_PERSISTENCE needs USE_DB_REPOSITORY: events are kept in the database')
  return {
    mode,
    port: data.PORT,
    host: data.HOST,
    validation: data.USE_INPUT_VALIDATION,
    auth: data.USE_AUTH_MIDDLEWARE
      ? { secret: jwtSecret(data.JWT_SECRET_FILE), rateLimit: data.RATE_LIMIT }
      : undefined,
    events: data.USE_EVENT_PERSISTENCE,
    target: mode === 'memory' ? undefined : targetOf(data),
  }
}

/** The database that the environment names. */
export function targetOf(env: { DATABASE_URL?: string | undefined; DATABASE_PASSWORD_FILE?: string | undefined }) {
  if (!env.DATABASE_URL) throw new ConfigError('DATABASE_URL is missing')
  return { url: env.DATABASE_URL, passwordFile: env.DATABASE_PASSWORD_FILE }
}

export function jwtSecret(file: string | undefined): string {
  if (!file) throw new ConfigError('JWT_SECRET_FILE is missing: a file with at least 32 random characters')
  const secret = readSecret(file)
  if (secret.length < 32) throw new ConfigError(`${file} is too short for a secret: at least 32 characters`)
  return secret
}

export function printFlags({ mode, validation, auth, events }: Config): void {
  const state = (on: boolean) => (on ? 'ENABLED' : 'DISABLED')
  log(`USE_DB_REPOSITORY: ${state(mode !== 'memory')}${mode === 'database' ? ' (database only)' : ''}`)
  log(`USE_INPUT_VALIDATION: ${state(validation)}`)
  log(`USE_AUTH_MIDDLEWARE: ${state(auth !== undefined)}`)
  log(`USE_EVENT_PERSISTENCE: ${state(events)}`)
}
