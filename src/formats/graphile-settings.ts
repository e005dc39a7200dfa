import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { usage } from '../errors.ts'
import { readText } from './files.ts'

/** The part of graphile-migrate's own configuration that matters for a run. */
export type Gmrc = {
  placeholders: Record<string, string>
  databaseOwner: string | undefined
  /** `pgSettings`: set in the session. */
  settings: Record<string, string>
}

type Raw = Record<string, unknown>

const names = ['.gmrc', '.gmrc.js', '.gmrc.cjs']

/**
 * Reads the configuration that graphile-migrate would use for a folder of migrations: the nearest `.gmrc` in it or in a folder
 * above it. More than one level up, its `migrationsFolder` has to be this folder.
 *
 * @param migrations absolute path of the folder that contains `committed`
 * @throws {AppError} `usage` if it asks for what we do not do: actions before or after all migrations, or settings that only running
 *   its JavaScript would tell
 */
export function readGmrc(migrations: string): Gmrc | undefined {
  for (const dir of upwards(migrations)) {
    const path = names.map((name) => join(dir, name)).find((file) => existsSync(file))
    if (path === undefined) continue
    const raw = path.endsWith('.gmrc') ? parse(path) : guess(path)
    const near = dir === migrations || dir === dirname(migrations)
    const folder = typeof raw.migrationsFolder === 'string' ? raw.migrationsFolder : 'migrations'
    if (!near && resolve(dir, folder) !== migrations) continue
    refuseActions(path, raw)
    return pick(path, raw)
  }
  return undefined
}

function upwards(dir: string): string[] {
  const parent = dirname(dir)
  return parent === dir ? [dir] : [dir, ...upwards(parent)]
}

/** Comments, strings, words, and commas before a closing bracket. */
const token =
  /\/\/[^\r\n]*|\/\*[\s\S]*?\*\/|"(?:\\[\s\S]|[^"\\])*"|'(?:\\[\s\S]|[^'\\])*'|`(?:\\[\s\S]|[^`\\])*`|[A-Za-z_$][\w$]*|,(?=(?:\s|\/\/[^\r\n]*|\/\*[\s\S]*?\*\/)*[}\]])/g

/** The common parts of JSON5: comments, names without quotes, single quotes, trailing commas. */
function parse(path: string): Raw {
  const json = readText(path).replace(token, (text) => {
    if (text.startsWith('/')) return ' '
    if (text === ',' || /^(true|false|null|".*)$/s.test(text)) return text === ',' ? '' : text
    const inner = text.startsWith("'") ? text.slice(1, -1).replaceAll("\\'", "'").replaceAll('"', '\\"') : text
    return `"${inner}"`
  })
  try {
    const raw: unknown = JSON.parse(json)
    if (typeof raw === 'object' && raw !== null) return raw as Raw
  } catch (cause) {
    throw unreadable(path, cause)
  }
  throw unreadable(path)
}

const unreadable = (path: string, cause?: unknown) =>
  usage(`${path} cannot be read as JSON5`, {
    file: path,
    hint: 'write it as JSON, with names and strings in double quotes',
    cause,
  })

/** Does not run the JavaScript: its text shows whether it mentions what we must refuse, and where the folder is. */
function guess(path: string): Raw {
  const code = readText(path).replace(token, (text) => (/^\/[/*]/.test(text) ? ' ' : text))
  const mentioned = (key: string, nothing: string) => new RegExp(`\\b${key}\\b(?!["']?\\s*:\\s*${nothing})`).test(code)
  const folder = /\bmigrationsFolder["']?\s*:\s*["'`]([^"'`]*)/.exec(code)?.[1]
  return {
    ...(folder !== undefined && { migrationsFolder: folder }),
    beforeAllMigrations: mentioned('beforeAllMigrations', '\\[\\s*\\]') ? ['?'] : [],
    afterAllMigrations: mentioned('afterAllMigrations', '\\[\\s*\\]') ? ['?'] : [],
    unknownSettings: mentioned('pgSettings', '\\{\\s*\\}'),
  }
}

/** @throws {AppError} `usage` for actions, except those of the shadow database, which a run does not use */
function refuseActions(path: string, raw: Raw): void {
  for (const key of ['beforeAllMigrations', 'afterAllMigrations']) {
    const actions = [raw[key] ?? []].flat().filter((action) => (action as { shadow?: unknown } | null)?.shadow !== true)
    if (actions.length > 0) {
      throw usage(`${path} has actions under ${key}, which pgbosun does not run`, {
        file: path,
        hint: 'turn them into migrations, roles or seeds; or let `migrate.command` run graphile-migrate itself',
      })
    }
  }
  if (raw.unknownSettings) {
    throw usage(`${path} has pgSettings, which pgbosun cannot read, because it does not run JavaScript`, {
      file: path,
      hint: 'write them into a `.gmrc`, which is read before `.gmrc.js`',
    })
  }
}

function pick(path: string, { placeholders, databaseOwner, pgSettings }: Raw): Gmrc {
  return {
    placeholders: texts(path, 'placeholders', placeholders, ['string']),
    databaseOwner: typeof databaseOwner === 'string' ? databaseOwner : undefined,
    settings: texts(path, 'pgSettings', pgSettings, ['string', 'number']),
  }
}

function texts(path: string, key: string, found: unknown, kinds: string[]): Record<string, string> {
  const entries = Object.entries(found ?? {})
  const odd = entries.find(([, value]) => !kinds.includes(typeof value))
  if (odd)
    throw usage(`${odd[0]} under ${key} in ${path} is not a string`, { file: path, hint: 'put its value in quotes' })
  return Object.fromEntries(entries.map(([name, value]) => [name, String(value)]))
}
