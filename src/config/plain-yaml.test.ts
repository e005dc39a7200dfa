import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseDocument, stringify } from 'yaml'
import { readPlainYaml } from './plain-yaml.ts'

const root = join(import.meta.dirname, '../..')

/** It may leave anything to the parser, but never read something else, nor what the parser calls a mistake. */
function expectSame(text: string): boolean {
  const read = readPlainYaml(text)
  if (read === undefined) return false
  const document = parseDocument(text, { merge: true })
  expect(document.errors, text).toEqual([])
  expect(read.value, text).toEqual(document.toJS())
  return true
}

const documents = globSync(['examples/**/*.{yaml,yml}', 'k8s/**/*.{yaml,yml}', 'scripts/*.yaml', 'compose.yaml'], {
  cwd: root,
}).flatMap((file) => readFileSync(join(root, file), 'utf8').split(/^---\n/m))

describe('plain YAML', () => {
  test('of the sample is read without the parser', () => {
    expect(expectSame(readFileSync(join(root, 'scripts/quickstart.yaml'), 'utf8'))).toBe(true)
  })

  test('of every example is read as the parser reads it, or left to it', () => {
    expect(documents.filter(expectSame).length).toBeGreaterThan(2)
  })

  test.for([
    'a: 1\nb:\n  c: x # comment\n  d: [1, two, "3", \'4\']\n',
    'a:\n- x\n- y: 1\n  z: 2\nb: 3\n',
    'a:\n  - - 1\n    - 2\n  -\n    b: null\n',
    'a: {}\nb: []\nc:\nd: ~\ne: { f: { g: [h] }, i: j k }\n',
    'cron: "0 3 * * *"\nurl: postgres://h/d#x\ntime: 5m\nversion: v1.2.3\n',
  ])('is read without the parser: %j', (text) => {
    expect(expectSame(text)).toBe(true)
  })

  test.for([
    ['an anchor', 'a: &x 1\nb: *x\n'],
    ['a tag', 'a: !!str 1\n'],
    ['a text of several lines', 'a: |\n  x\n'],
    ['a scalar that goes on', 'a: x\n  y\n'],
    ['a merge key', 'a: 1\n<<: { b: 2 }\n'],
    ['an escape', 'a: "x\\ny"\n'],
    ['a doubled quote', "a: 'it''s'\n"],
    ['a tab', 'a:\t1\n'],
    ['a hexadecimal number', 'a: 0x10\n'],
    ['a fraction', 'a: 1.50\n'],
    ['a number that is not exact', 'a: 12345678901234567890\n'],
    ['infinity', 'a: .inf\n'],
    ['a key twice', 'a: 1\na: 2\n'],
    ['a bracket that is not closed', 'a: [1,\n  2]\n'],
    ['a quoted key', '"a": 1\n'],
    ['a key without a space after its colon', 'a: { b:1 }\n'],
    ['a second document', 'a: 1\n---\nb: 2\n'],
    ['wrong indentation', 'a:\n    b: 1\n  c: 2\n'],
    ['a prototype', '__proto__: { a: 1 }\n'],
    ['a scalar alone', 'x\n'],
    ['nothing', '# only a comment\n'],
    ['infinity with a capital letter', 'a: -.Inf\n'],
    ['a key that is a boolean', 'a: { True: 1 }\n'],
    ['a key that is null', 'a:\n  NULL: 1\n'],
    ['a key that is too long', `${'k'.repeat(1_025)}: 1\n`],
    ['an indent that is not of spaces', 'a:\n\u00a0\u00a0b: 1\n'],
    ['a line with white space that is text', 'a: 1\n\u3000\n'],
    ['an item that begins with white space that is text', '- \u00a0x\n'],
    ['brackets nested too deep', `a: ${'['.repeat(100_000)}`],
    ['lists nested too deep', '- '.repeat(50_000)],
  ])('does not include %s', ([, text = '']) => {
    expect(readPlainYaml(text)).toBeUndefined()
  })

  test.for([
    `a: x${' '.repeat(200_000)}y\n`,
    `a: [x${' '.repeat(200_000)}y]\n`,
  ])('with many spaces takes no long time', (text) => {
    const startedAt = performance.now()
    expect(readPlainYaml(text)).toBeDefined()
    expect(performance.now() - startedAt).toBeLessThan(2_000)
  })

  test('is read as the parser reads it, whatever is written', () => {
    const key = fc.stringMatching(/^[A-Za-z_][\w.-]{0,5}$/)
    const leaf = fc.oneof(
      fc.string(),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.stringMatching(/^[-+.\w:#,{}[\]'"&*!|>%@~ /]{0,8}$/),
    )
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 3 },
        leaf,
        fc.dictionary(key, tie('tree'), { maxKeys: 4 }),
        fc.array(tie('tree'), { maxLength: 3 }),
      ),
    }))
    let read = 0
    fc.assert(
      fc.property(fc.dictionary(key, tree), fc.boolean(), (value, flow) => {
        if (expectSame(stringify(value, flow ? { collectionStyle: 'flow' } : {}))) read++
      }),
      { numRuns: 3_000 },
    )
    expect(read).toBeGreaterThan(300)
  })

  test('is read as the parser reads it, however it is mistyped', () => {
    const sample = fc.constantFrom(...documents.filter((text) => text.length < 3_000))
    const typo = fc.tuple(
      fc.nat(),
      fc.constantFrom(0, 0, 1, 2),
      fc.constantFrom<string[]>(...': -#\n{}[],\'"~.0x|>&*!?%@\ta', '  ', '\n  ', ': ', ' #', '- '),
    )
    fc.assert(
      fc.property(sample, fc.array(typo, { minLength: 1, maxLength: 4 }), (text, typos) => {
        let mistyped = text
        for (const [where, removed, added] of typos) {
          const at = where % (mistyped.length + 1)
          mistyped = mistyped.slice(0, at) + added + mistyped.slice(at + removed)
        }
        expectSame(mistyped)
      }),
      { numRuns: 4_000 },
    )
  })
})
