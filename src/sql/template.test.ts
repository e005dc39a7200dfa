import { expect, test } from 'vitest'
import { templateHint } from './template.ts'

/** The hint for an error at the `^` in the text. */
const hintAt = (marked: string, code = '42601') => {
  const [before = '', after = ''] = marked.split('^')
  const lines = before.split('\n')
  return templateHint(code, before + after, { line: lines.length, column: [...lines.at(-1)!].length + 1 })
}

test.each([
  ['create table ^{{ schema }}.t (id int)', '{{ … }}'],
  ['create table {{ sch^ema }}.t (id int)', '{{ … }}'],
  ["select '😀';\nselect ^{{", '{{ … }}'],
  ['create table t (\n  ^{% if x %} id int', '{% … %}'],
  ['select ^<%= x %>', '<% … %>'],
  [`create table ^\${name} (id int)`, `\${ … }`],
])('the caret of %s is in a template', (marked, tag) => {
  expect(hintAt(marked)).toContain(`\`${tag}\` belongs to a template`)
})

test('a value and a name may contain a tag', () => {
  expect(hintAt(`select ^'{{ n }}'::int`, '22P02')).toContain('render it first')
  expect(hintAt(`select * from ^"{{ schema }}".t`, '42P01')).toContain('render it first')
})

test.each([
  'select ^} from t',
  "select '{{ x }}' ^form t",
  'select {{ x }} ^form t',
  '^',
  'select $1 ^{',
  'select ^$$',
])('the caret of %s is not', (marked) => {
  expect(hintAt(marked)).toBeUndefined()
})

test('other errors are not about templates', () => {
  expect(hintAt('select ^{{ x }}', '42703')).toBeUndefined()
})
