// pure
import { usage } from '../errors.ts'
import type { ReadOptions } from './dialect.ts'
import type { Gmrc } from './graphile-settings.ts'
import type { Script } from './types.ts'

/** What is sent of a body, and what is shown where that is not the same. */
export type Replace = (body: string) => Pick<Script, 'text' | 'shown'>

/**
 * What graphile-migrate does to a body before it sends it: placeholders are replaced as they are, everywhere, also in strings.
 * `:DATABASE_NAME` and `:DATABASE_OWNER` are its own; the others are those of `.gmrc` and of `migrate.placeholders`, which wins,
 * there with or without their colon. What it does not know stays as it is.
 *
 * @returns a function that gives the text to send, and what people may see of it, without what came from the environment
 * @throws {AppError} `usage` for a name that it would refuse, and for `!ENV` where the environment has no such variable
 */
export function placeholderReplacement(gmrc: Gmrc | undefined, options: ReadOptions): Replace {
  const own = Object.entries(options.placeholders).map(([key, value]) => [key.startsWith(':') ? key : `:${key}`, value])
  const given: Record<string, string> = { ...gmrc?.placeholders, ...Object.fromEntries(own) }
  const owner = gmrc?.databaseOwner ?? options.user ?? options.database
  const reserved: Record<string, string | undefined> = { ':DATABASE_NAME': options.database, ':DATABASE_OWNER': owner }
  const values = new Map<string, string>()
  for (const [key, value] of Object.entries(given))
    values.set(checked(key, reserved), fromEnvironment(key, value, options))
  for (const [key, value] of Object.entries(reserved)) if (value !== undefined) values.set(key, value)
  if (values.size === 0) return (body) => ({ text: body })
  // names are letters, digits and underscores, see `checked`
  const names = new RegExp(`(?:${[...values.keys()].join('|')})\\b`, 'g')
  const secret = new Set(Object.keys(given).filter((key) => given[key] === '!ENV'))
  return (body) => {
    const text = body.replace(names, (name) => values.get(name) ?? '')
    const shown = body.replace(names, (name) => (secret.has(name) ? name : (values.get(name) ?? '')))
    return shown === text ? { text } : { text, shown }
  }
}

function checked(key: string, reserved: object): string {
  if (key in reserved) {
    throw usage(`the placeholder ${key} is graphile-migrate's own`, {
      hint: 'remove it: it is taken from the connection',
    })
  }
  if (!/^:[A-Z][0-9A-Z_]+$/.test(key)) {
    throw usage(`"${key}" cannot be a placeholder of graphile-migrate`, {
      hint: 'name it like :APP_USER: capital letters, digits and underscores',
    })
  }
  return key
}

/** `!ENV` stands for the environment variable of the placeholder's name. */
function fromEnvironment(key: string, value: string, { environment }: ReadOptions): string {
  if (value !== '!ENV') return value
  const found = environment[key.slice(1)]
  if (!found) {
    throw usage(`the placeholder ${key} is to come from the environment, where ${key.slice(1)} is not set`, {
      hint: `set ${key.slice(1)}, or give the value under \`migrate.placeholders\``,
    })
  }
  return found
}
