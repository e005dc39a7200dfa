import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { compileSchema } from '../../scripts/schema-rules.ts'
import { accept, type Rule } from './rules.ts'
import { configSchema } from './schema.ts'

const { rule, shared } = compileSchema()
const root = join(import.meta.dirname, '../..')

/** The rules may leave anything to the schema, but never accept what it refuses, nor return something else. */
function expectSame(input: unknown): 'accepted' | 'left' {
  const accepted = accept({ rule, shared }, structuredClone(input))
  if (accepted === undefined) return 'left'
  const parsed = configSchema.safeParse(input)
  expect(parsed.success, JSON.stringify(input)).toBe(true)
  expect(accepted).toEqual(parsed.data)
  return 'accepted'
}

describe('the rules made of the schema', () => {
  const files = globSync(['examples/**/*.{yaml,yml}', 'k8s/**/*.{yaml,yml}', 'scripts/*.yaml'], { cwd: root })

  test('accept configurations of examples as the schema does', () => {
    const accepted = files
      .flatMap((file) => configurationsIn(readFileSync(join(root, file), 'utf8')))
      .filter((input) => configSchema.safeParse(input).success)
      .map(expectSame)
    expect(accepted.length).toBeGreaterThan(3)
    expect(new Set(accepted)).toEqual(new Set(['accepted']))
  })

  test.for([
    '!!set { app }',
    '!!timestamp 2020-01-01',
    '!!omap [app: {}]',
  ])('do not take what a tag of YAML makes for an empty map: %s', (value) => {
    expect(expectSame(parse(`roles: ${value}`))).toBe('left')
  })

  test.for<[string, unknown]>([
    ['an unknown key', { databse: {} }],
    ['an unknown key deep inside', { databases: { shop: { users: { a: { preset: 'app', pasword: 1 } } } } }],
    ['a wrong type', { wait: { timeout: 5 } }],
    ['a duration without a unit', { wait: { timeout: '5' } }],
    ['null where a map is expected', { wait: null }],
    ['a list where a map is expected', { wait: [] }],
    ['a word that is none of those', { migrate: { format: 'pgbossum' } }],
    ['a name that is too long', { databases: { ['x'.repeat(64)]: {} } }],
    ['a reserved name', { roles: { pg_monitor: {} } }],
    ['rules that keep nothing', { backup: { keep: { within: '0d' } } }],
    ['half a number', { databases: { shop: { connectionLimit: 1.5 } } }],
    ['a number that is none', { databases: { shop: { config: { x: Number.NaN } } } }],
    ['a port that is none', { serve: { listen: ':70000' } }],
    ['a time zone that is none', { backup: { timezone: 'Europe/Berln' } }],
    ['a secret as text', { serve: { token: 'secret' } }],
    ['a URL with a password', { database: { url: 'postgres://u:p@h/d' } }],
    ['a size without a unit', { backup: { verify: { maxBytes: '20' } } }],
    ['test restores without a server', { backup: { verify: { schedule: '0 5 * * 0' } } }],
    ['an empty list', { backup: { databases: [] } }],
    ['a prototype', JSON.parse('{ "databases": { "__proto__": {} } }')],
    ['a lint rule that is none', { migrate: { lint: { rules: { nonsense: 'off' } } } }],
  ])('leave %s to the schema', ([, input]) => {
    expect(accept({ rule, shared }, input)).toBeUndefined()
  })

  test('return what the schema returns, whatever is asked of them', () => {
    let accepted = 0
    fc.assert(
      fc.property(inputFor(rule), (input) => {
        if (expectSame(input) === 'accepted') accepted++
      }),
      { numRuns: 2_000 },
    )
    expect(accepted).toBeGreaterThan(100)
  })
})

/** A file may hold several documents, and a ConfigMap has the configuration as text. */
function configurationsIn(text: string): unknown[] {
  return text.split(/^---$/m).flatMap((document) => {
    const value = parse(document, { merge: true })
    const inner = Object.values((value?.data ?? {}) as Record<string, unknown>)
    return [value, ...inner.flatMap((one) => (typeof one === 'string' && one.includes(':') ? [parse(one)] : []))]
  })
}

const scalars = fc.oneof(
  fc.constantFrom(
    '',
    'x',
    'shop',
    '5m',
    '0s',
    '7d',
    'all',
    'UTC',
    'file:///b',
    '[::]:1',
    'a.b -> c.d',
    'x.csv',
    'PUBLIC',
    'https://v.example.org/x',
    'http://10.0.0.1/x',
    'X-Vault-Token',
    'data.password',
  ),
  fc.constantFrom<unknown>(0, 1, -1, 1.5, true, false, null, [], {}),
  fc.string(),
)

/** What mostly fits a rule, with something wrong now and then. */
function inputFor(rule: Rule): fc.Arbitrary<unknown> {
  const right = fitting(rule)
  return fc.oneof({ weight: 60, arbitrary: right }, { weight: 1, arbitrary: scalars })
}

function fitting(rule: Rule): fc.Arbitrary<unknown> {
  switch (rule.is) {
    case 'map':
      return fc
        .subarray(Object.keys(rule.keys), { maxLength: Math.min(2, Object.keys(rule.keys).length) })
        .chain((keys) => fc.record(Object.fromEntries(keys.map((key) => [key, inputFor(rule.keys[key]!)]))))
    case 'record':
      return fc.dictionary(
        fc.oneof(fc.constantFrom('shop', 'app', 'x.y', 'X-Token'), fc.string()),
        inputFor(rule.value),
        {
          maxKeys: 2,
        },
      )
    case 'list':
      return fc.array(inputFor(rule.of), { maxLength: 2 })
    case 'either':
      return fc.oneof(...rule.of.map(inputFor))
    case 'one':
      return fc.constantFrom(...rule.of)
    case 'boolean':
      return fc.boolean()
    case 'number':
      return fc.oneof(fc.integer({ min: -1, max: 9 }), fc.double())
    case 'string':
      return scalars.filter((value) => typeof value === 'string')
    case 'duration':
      return fc.constantFrom('5m', '0s', '7d', '10')
    case 'shared':
      return inputFor(shared[rule.at]!)
    default:
      return inputFor(rule.of)
  }
}
