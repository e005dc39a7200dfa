// pure
import { usage } from '../errors.ts'
import type { ReadOptions } from './format.ts'
import type { Gmrc } from './graphile-settings.ts'
import type { Script } from './types.ts'

/** The text to send for a body, and the text to show if that is different. */
export type Replace = (body: string) => Pick<Script, 'text' | 'shown'>

/**
 * Replaces placeholders as graphile-migrate does: without quoting, everywhere, also in strings. `:DATABASE_NAME` and
 * `:DATABASE_OWNER` are built in; the others come from `.gmrc` and from `migrate.placeholders`, which takes precedence and may leave
 * out the colon. An unknown placeholder stays as it is.
 *
 * @returns a function that returns the text to send, and the text to show, without values from the environment
 * @throws {AppError} `usage` for a name that graphile-migrate would refuse, and for `!ENV` if the environment variable is not set
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
    throw usage(`the placeholder ${key} is built into graphile-migrate`, {
      hint: 'remove it: its value comes from the connection',
    })
  }
  if (!/^:[A-Z][0-9A-Z_]+$/.test(key)) {
    throw usage(`"${key}" cannot be a placeholder of graphile-migrate`, {
      hint: 'name it like :APP_USER: capital letters, digits and underscores',
    })
  }
  return key
}

/** `!ENV` means the environment variable with the placeholder's name. */
function fromEnvironment(key: string, value: string, { environment }: ReadOptions): string {
  if (value !== '!ENV') return value
  const found = environment[key.slice(1)]
  if (!found) {
    throw usage(
      `the value of the placeholder ${key} should come from the environment, but ${key.slice(1)} is not set`,
      {
        hint: `set ${key.slice(1)}, or put the value under \`migrate.placeholders\``,
      },
    )
  }
  return found
}
