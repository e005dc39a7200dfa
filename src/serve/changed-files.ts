// pure

import type { Condition } from '../check/condition-catalogue.ts'
import { someOf } from '../units.ts'

/** The files at one time: fingerprints of their content, those of migrations by name. */
export type FilesSeen = { configuration: string | undefined; migrations: ReadonlyMap<string, string> }

/**
 * What has changed since `up`, as conditions: such changes do not take effect by themselves, and do not make `serve` unready. Pure.
 * @param before the conditions after the previous look: one that existed before keeps its instant
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
      message:
        'the configuration file has changed since `serve` was started, and `serve` still uses the old configuration',
      hint: 'restart `serve`',
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
      hint: 'run `pgbosun up`, or restart `serve`',
      since: since('migrations-pending'),
    })
  return conditions
}

function named(what: string, names: string[]): string[] {
  if (names.length === 0) return []
  return [`${what}: ${someOf(names)}`]
}
