import type * as z from 'zod'
import type { Problem } from './problem.ts'
import { type Config, configSchema } from './schema.ts'
import { didYouMean } from './suggest.ts'
import { keysAt, type Leaf, leaves } from './walk.ts'

/** The keys that a variable can set. */
export const schemaLeaves = (): Leaf[] => leaves(configSchema)

/** The configuration with its defaults; undefined when there are problems. */
export function checkWithSchema(input: unknown): { config: Config | undefined; problems: Problem[] } {
  const parsed = configSchema.safeParse(input, { jitless: true })
  if (parsed.success) return { config: parsed.data, problems: [] }
  return { config: undefined, problems: parsed.error.issues.flatMap((issue) => problemsOf(issue, [])) }
}

type Issue = z.core.$ZodIssue

function problemsOf(issue: Issue, parent: PropertyKey[]): Problem[] {
  const path = [...parent, ...issue.path]
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({
      path: [...path, key].join('.'),
      message: `unknown key${didYouMean(key, keysAt(configSchema, path))}`,
    }))
  if (issue.code === 'invalid_key') return issue.issues.map(({ message }) => ({ path: path.join('.'), message }))
  if (issue.code === 'invalid_union' && issue.message === 'Invalid input') {
    const [best] = [...issue.errors].sort(
      (a, b) => Number(isOtherKind(a)) - Number(isOtherKind(b)) || a.length - b.length,
    )
    if (best && best.length > 0) return best.flatMap((inner) => problemsOf(inner, path))
  }
  return [{ path: path.join('.'), message: issue.message.replace(/^Invalid (input|option): /, '') }]
}

/** Whether this option of a union expects another kind of value: a map instead of a scalar, or another word. */
const isOtherKind = (issues: Issue[]) =>
  issues.some(({ path, code }) => path.length === 0 && (code === 'invalid_type' || code === 'invalid_value'))
