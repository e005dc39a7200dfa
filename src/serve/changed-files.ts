// pure
import type { Condition } from './state.ts'

/** What lay there at one time: by name, something that is equal as long as the content is. */
export type FilesSeen = { configuration: string | undefined; migrations: ReadonlyMap<string, string> }

const mostNamed = 5

/**
 * What has changed since `up`, as conditions: nothing of it takes effect by itself, and nobody is taken out of service for it. Pure.
 * @param before those of the look before: one that was there already keeps its instant
 */
export function fileConditions(
  then: FilesSeen,
  now: FilesSeen,
  { before, at }: { before: readonly Condition[]; at: string },
): Condition[] {
  const added = [...now.migrations.keys()].filter((name) => !then.migrations.has(name))
  const gone = [...then.migrations.keys()].filter((name) => !now.migrations.has(name))
  const changed = [...now.migrations].filter(([name, content]) => (then.migrations.get(name) ?? content) !== content)
  const since = (name: Condition['name']) => before.find((condition) => condition.name === name)?.since ?? at
  const conditions: Condition[] = []
  if (now.configuration !== then.configuration)
    conditions.push({
      name: 'configuration-changed',
      severity: 'warning',
      roles: [],
      message: 'the configuration file is another one than `serve` was started with, and works with what it said then',
      hint: 'start `serve` again',
      since: since('configuration-changed'),
    })
  const news = [
    ...named('new', added),
    ...named(
      'changed',
      changed.map(([name]) => name),
    ),
    ...named('gone', gone),
  ]
  if (news.length > 0)
    conditions.push({
      name: 'migrations-pending',
      severity: 'warning',
      roles: [],
      message: `the folder of migrations has changed since \`up\`: ${news.join('; ')}`,
      hint: 'run `pgbosun up`, or start `serve` again',
      since: since('migrations-pending'),
    })
  return conditions
}

function named(what: string, names: string[]): string[] {
  if (names.length === 0) return []
  const more = names.length > mostNamed ? ` and ${names.length - mostNamed} more` : ''
  return [`${what}: ${names.slice(0, mostNamed).join(', ')}${more}`]
}
