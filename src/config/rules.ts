// pure
import { durationMs, sizeBytes } from '../units.ts'
import { predicates } from './predicates.ts'
import type { Leaf } from './walk.ts'

/**
 * The schema as data, for a run whose configuration has no problem: making the schema's validators at the start of a run takes longer
 * than using them. What a rule does not accept is left to the schema, which says what is wrong.
 */
export type Rule =
  | { is: 'map'; keys: Record<string, Rule>; checks?: Check[] }
  | { is: 'record'; key: Rule; value: Rule; checks?: Check[] }
  | { is: 'list'; of: Rule; checks?: Check[] }
  | { is: 'either'; of: Rule[] }
  | { is: 'string'; checks?: Check[] }
  | { is: 'number'; checks?: Check[] }
  | { is: 'boolean' }
  | { is: 'one'; of: unknown[] }
  | { is: 'optional' | 'nullable' | 'duration' | 'size'; of: Rule }
  | { is: 'default'; of: Rule; value: unknown }
  /** The n-th of the shared rules: what many keys have in common is there once. */
  | { is: 'shared'; at: number }

/** `named`: one of {@link predicates}. `other`: something that only the schema can check. */
export type Check =
  | { check: 'length' | 'least'; least: number }
  | { check: 'pattern'; source: string; flags: string }
  | { check: 'whole' }
  | { check: 'named'; name: keyof typeof predicates }
  | { check: 'other' }

/** What the build makes of the schema. `leaves`: the keys that a variable can set. */
export type Compiled = { rule: Rule; shared: Rule[]; leaves: Pick<Leaf, 'path' | 'kind'>[] }

class Misfit extends Error {}
class Unknown extends Error {}
const misfit = new Misfit()
const unknown = new Unknown()

/** The input with its defaults, as the schema would return it; undefined when the schema has to look at it. */
export function accept({ rule, shared }: Pick<Compiled, 'rule' | 'shared'>, input: unknown): unknown {
  try {
    return read(rule, input, shared)
  } catch (error) {
    if (error === misfit || error === unknown) return undefined
    throw error
  }
}

type Shared = readonly Rule[]

function read(rule: Rule, input: unknown, shared: Shared): unknown {
  switch (rule.is) {
    case 'shared':
      return read(shared[rule.at]!, input, shared)
    case 'optional':
      return input === undefined ? undefined : read(rule.of, input, shared)
    case 'nullable':
      return input === null ? null : read(rule.of, input, shared)
    case 'default':
      return read(rule.of, input === undefined ? rule.value : input, shared)
    case 'duration':
      return durationMs(read(rule.of, input, shared) as string)
    case 'size':
      return sizeBytes(read(rule.of, input, shared) as string)
    case 'either':
      return readEither(rule.of, input, shared)
    case 'one':
      return rule.of.includes(input) ? input : fail(misfit)
    case 'boolean':
      return typeof input === 'boolean' ? input : fail(misfit)
    case 'number':
      return typeof input === 'number' && Number.isFinite(input) ? checked(input, rule.checks) : fail(misfit)
    case 'string':
      return typeof input === 'string' ? checked(input, rule.checks) : fail(misfit)
    case 'list':
      return Array.isArray(input)
        ? checked(
            input.map((item) => read(rule.of, item, shared)),
            rule.checks,
          )
        : fail(misfit)
    case 'record':
      return checked(
        Object.fromEntries(
          Object.entries(mapOf(input)).map(([key, value]) => [
            read(rule.key, key, shared),
            read(rule.value, value, shared),
          ]),
        ),
        rule.checks,
      )
    case 'map':
      return checked(readMap(rule.keys, mapOf(input), shared), rule.checks)
  }
}

function readMap(keys: Record<string, Rule>, input: Record<string, unknown>, shared: Shared): Record<string, unknown> {
  if (Object.keys(input).some((key) => !Object.hasOwn(keys, key))) fail(misfit)
  const result: Record<string, unknown> = {}
  for (const [key, rule] of Object.entries(keys))
    if (Object.hasOwn(input, key)) result[key] = read(rule, input[key], shared)
    else if (rule.is !== 'optional') result[key] = read(rule, undefined, shared)
  return result
}

function readEither(options: Rule[], input: unknown, shared: Shared): unknown {
  for (const option of options)
    try {
      return read(option, input, shared)
    } catch (error) {
      if (error !== misfit) throw error
    }
  return fail(misfit)
}

function mapOf(input: unknown): Record<string, unknown> {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) fail(misfit)
  // Tags of YAML make sets and dates, whose content is not in their keys. `__proto__` would be the prototype of the copy.
  if (Object.getPrototypeOf(input) !== Object.prototype || Object.hasOwn(input as object, '__proto__')) fail(unknown)
  return input as Record<string, unknown>
}

function checked<T>(value: T, checks: Check[] = []): T {
  for (const check of checks) if (!holds(check, value)) fail(misfit)
  return value
}

function holds(check: Check, value: unknown): boolean {
  switch (check.check) {
    case 'length':
      return (value as string | unknown[]).length >= check.least
    case 'least':
      return (value as number) >= check.least
    case 'whole':
      return Number.isSafeInteger(value)
    case 'pattern':
      return new RegExp(check.source, check.flags).test(value as string)
    case 'named':
      return predicates[check.name](value as never)
    case 'other':
      return fail(unknown)
  }
}

function fail(why: Error): never {
  throw why
}
