// pure
import { usage } from '../errors.ts'
import { codePoints, placeOf } from '../sql/place.ts'

/** Values by name in lower case. */
export type Placeholders = ReadonlyMap<string, string>

type Known = {
  placeholders: Readonly<Record<string, string>>
  database: string | undefined
  user: string | undefined
  now: Date
}

/**
 * The values of placeholders. Those in the configuration take precedence over Flyway's own, some of which can only be configured:
 * the default schema and the working directory are Flyway's, so we do not know them.
 */
export function placeholdersOf({ placeholders, database, user, now }: Known): Placeholders {
  const own = {
    'flyway:database': database,
    'flyway:user': user,
    'flyway:timestamp': localTime(now),
    'flyway:table': 'flyway_schema_history',
    'flyway:environment': 'default',
  }
  const all = [...Object.entries(own), ...Object.entries(placeholders)]
  return new Map(all.flatMap(([name, value]) => (value === undefined ? [] : [[name.toLowerCase(), value]])))
}

/**
 * Replaces `${name}` everywhere, also in comments and literals. Like Flyway's reader it looks at the character after a `$`
 * only once, so `$${name}` stays as it is.
 *
 * @param path for the message
 * @throws {AppError} `usage` with file, line and column for a name without a value
 * @see PlaceholderReplacingReader of flyway-core
 */
export function replacePlaceholders(text: string, values: Placeholders, path: string): string {
  if (!text.includes('${')) return text
  return text.replace(
    /\$\{([^}]*)(\}?)|\$[\s\S]?/g,
    (found: string, name: string | undefined, end: string, at: number) => {
      if (name === undefined) return found
      const value = end === '' ? undefined : values.get(name.toLowerCase())
      if (value === undefined) throw unknown(text, at, name.split(/[\r\n]/, 1)[0] ?? '', path)
      return value
    },
  )
}

function unknown(text: string, at: number, name: string, path: string) {
  const place = placeOf(text, codePoints(text, at) + 1)
  return usage(`${path} has the placeholder \${${name}} without a value in line ${place.line}`, {
    file: path,
    ...place,
    hint: `set "${name}" in \`migrate.placeholders\`, or write placeholderReplacement=false into ${path}.conf`,
  })
}

/** Like Java's `yyyy-MM-dd HH:mm:ss`, in the time zone of the process. */
function localTime(now: Date): string {
  const two = (number: number) => String(number).padStart(2, '0')
  const date = [now.getFullYear(), two(now.getMonth() + 1), two(now.getDate())].join('-')
  return `${date} ${[now.getHours(), now.getMinutes(), now.getSeconds()].map(two).join(':')}`
}
