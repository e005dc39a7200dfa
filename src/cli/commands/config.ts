import { wantedFrom } from '../../check/conditions.ts'
import { isAsked } from '../../config/asked.ts'
import { type Connection, describe } from '../../config/connection.ts'
import { readKeys } from '../../config/keys.ts'
import { resolveBackupConnection, resolveTestConnection } from '../../config/resolve.ts'
import { secretReader } from '../../config/secrets.ts'
import { resolveServeAccess } from '../../config/serve-access.ts'
import { AppError } from '../../errors.ts'
import { refuseHash } from '../../roles/secrets.ts'
import { renderDuration, renderSize } from '../../units.ts'
import type { Command, CommandContext } from '../command.ts'

/** `config show`: the effective configuration and where each value comes from, without secrets. */
export const configShow: Command = {
  name: 'config show',
  details: 'Never shows a secret, only where it is read from.',
  flags: {},
  startsAnew: true,
  exits: {},
  async run(context) {
    const { loaded, out } = context
    const { config, origins, file } = loaded
    const flat = flatten(config)
    const where = connectionOrReason(context)
    out.print(`file        ${file ?? 'none'}`)
    out.print(
      `connection  ${'reason' in where ? where.reason : `${describe(where)} as ${where.user}, TLS ${where.tls.mode} (from ${where.source})`}`,
    )
    for (const [path, value] of flat) out.print(`${path}: ${renderValue(path, value)}  (${originOf(origins, path)})`)
    return {
      fields: {
        file: file ?? null,
        connection:
          'reason' in where
            ? null
            : {
                endpoints: where.endpoints,
                database: where.database,
                user: where.user,
                tls: where.tls.mode,
                source: where.source,
              },
        config: jsonConfig(config),
        origins: Object.fromEntries(flat.map(([path]) => [path, originOf(origins, path)])),
      },
    }
  },
}

/** A configuration without a connection can be shown too. */
function connectionOrReason({ connection, out }: CommandContext): Connection | { reason: string } {
  try {
    return connection()
  } catch (error) {
    if (!(error instanceof AppError) || error.kind !== 'usage') throw error
    out.warn(error.message)
    return { reason: `none: ${error.message}` }
  }
}

/** `config validate`: reads everything that can be read without a connection. */
export const configValidate: Command = {
  name: 'config validate',
  details: 'Asks no command and no server for a secret.',
  flags: {},
  startsAnew: true,
  exits: {},
  async run({ loaded, connection, out }) {
    const { config, env, baseDir } = loaded
    const { directUrl, url } = config.database
    const where = isAsked(directUrl ?? url) ? undefined : connection()
    if (where && !where.fresh) where.password()
    readSecrets(loaded)
    for (const [key, resolve] of [
      [config.backup.url, resolveBackupConnection],
      [config.backup.verify.url, resolveTestConnection],
    ] as const) {
      const other = key === undefined || isAsked(key) ? undefined : resolve(config, env, baseDir)
      if (other && !other.fresh) other.password()
    }
    const { encrypt, sign } = config.backup
    if (![encrypt?.identity, sign?.secret].some(isAsked)) readKeys(config, env, baseDir)
    if (!isAsked(config.serve.token)) resolveServeAccess(config, env, baseDir)
    wantedFrom(config.check)
    const found = where ? `${describe(where)} from ${where.source}` : 'from a URL that is asked for'
    out.print(`valid: ${loaded.file ?? 'environment and defaults'}, connection ${found}`)
    return { fields: { file: loaded.file ?? null, valid: true } }
  },
}

function readSecrets({ config, env, baseDir }: CommandContext['loaded']): void {
  const read = secretReader(env, baseDir)
  const users = [
    Object.entries(config.users),
    ...Object.values(config.databases).map((database) => Object.entries(database?.users ?? {})),
  ].flat()
  for (const [name, { password }] of users)
    if (password !== undefined && !isAsked(password))
      refuseHash(read(password, `the password of ${name}`), name, {
        plaintext: config.passwords.send === 'plaintext' || undefined,
      })
}

/** `config schema`: for editors, and for programs that write the configuration file. */
export const configSchemaCommand: Command = {
  name: 'config schema',
  details: 'With --json, in the field `schema` of the usual document.',
  flags: { markdown: { type: 'boolean', help: 'Print the reference page (docs/configuration.md) instead.' } },
  startsAnew: true,
  exits: {},
  async run({ flags, out }) {
    const { jsonSchema, renderReference } = await import('../../config/reference.ts')
    const schema = jsonSchema()
    out.print((flags.markdown ? renderReference() : JSON.stringify(schema, null, 2)).split('\n'))
    return { fields: { schema } }
  },
}

/** Keys whose value is a duration, kept in milliseconds. */
const durationKeys = /(^|\.)(ttl|timeout|lockTimeout|jitter|keepEvents|backupMaxAge|passwordAge|keep\.within)$/

/** Keys whose value is a size, kept in bytes. */
const sizeKeys = /\.maxBytes$/

/** A duration or a size as it is written; undefined for everything else. */
function written(path: string, value: unknown): string | undefined {
  if (typeof value !== 'number') return undefined
  if (durationKeys.test(path)) return renderDuration(value)
  return sizeKeys.test(path) ? renderSize(value) : undefined
}

const renderValue = (path: string, value: unknown) =>
  written(path, value) ?? (typeof value === 'string' ? value : JSON.stringify(jsonConfig(value, path)))

function jsonConfig(value: unknown, path = ''): unknown {
  if (Array.isArray(value)) return value.map((child) => jsonConfig(child, path))
  if (value === null || typeof value !== 'object') return written(path, value) ?? value
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => [key, jsonConfig(child, path === '' ? key : `${path}.${key}`)]),
  )
}

function flatten(value: unknown, path = ''): [string, unknown][] {
  const plain = value !== null && typeof value === 'object' && !Array.isArray(value)
  const entries = plain ? Object.entries(value).filter(([, child]) => child !== undefined) : []
  if (!plain || entries.length === 0) return path === '' ? [] : [[path, value]]
  return entries.flatMap(([key, child]) => flatten(child, path === '' ? key : `${path}.${key}`))
}

const originOf = (origins: Map<string, string>, path: string) =>
  origins.get(path) ?? origins.get(path.replace(/\.(env|file)$/, '')) ?? 'default'
