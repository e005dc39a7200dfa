import fc from 'fast-check'
import { expect, test } from 'vitest'
import { chunksOf, messageLength, type Piece, piecesOf } from './pieces.ts'
import { scan } from './scan.ts'

const shownOf = (text: string) =>
  piecesOf(text).map((piece: Piece) =>
    piece.kind === 'sql' ? piece.text : [piece.text, text.slice(piece.data.start, piece.data.end)],
  )

test.each([
  '',
  '-- nothing',
  'select 1; select 2;\n',
  "copy t from '/x'; copy t to stdout;",
  'copy t from stdin',
])('%j is one piece as it is', (text) => {
  expect(piecesOf(text)).toEqual([{ kind: 'sql', text, start: 0 }])
})

test('a text is cut at the data of COPY', () => {
  const text = [
    '-- a dump',
    '\\restrict a1',
    'create table t ();',
    "copy t (a, b) from stdin with (null 'x;'); -- rows",
    `1\tit's; \\restrict $$ /* \\\\. "`,
    '\\N\t\\.',
    '\\.',
    '',
    'COPY public."from" FROM stdin;',
    '\\.',
    '-- done',
    'select 2;',
    '\\unrestrict a1',
    '',
  ].join('\n')
  expect(shownOf(text)).toEqual([
    '-- a dump\n            \ncreate table t ();\n',
    ["copy t (a, b) from stdin with (null 'x;')", `1\tit's; \\restrict $$ /* \\\\. "\n\\N\t\\.\n`],
    ['COPY public."from" FROM stdin', ''],
    '-- done\nselect 2;\n              \n',
  ])
  for (const piece of piecesOf(text)) expect(text.slice(piece.start, piece.start + 4)).toBe(piece.text.slice(0, 4))
})

test.each([
  ['copy t from stdin;\r\n1\r\n\\.\r\nselect 1', [['copy t from stdin', '1\r\n'], 'select 1']],
  ['copy t from stdin;\n1\n\\.', [['copy t from stdin', '1\n']]],
  ['copy t from stdin;\n1\n\\.\r', [['copy t from stdin', '1\n']]],
  ['copy t from stdin;\n1\nselect 2;', [['copy t from stdin', '1\nselect 2;']]],
  ['copy t from stdin;\n1\n\\. \n\\.x\nx\\.\n', [['copy t from stdin', '1\n\\. \n\\.x\nx\\.\n']]],
  ['copy t from stdin;', [['copy t from stdin', '']]],
  ['copy t from stdin; \t--x\n1\n\\.\n;;', [['copy t from stdin', '1\n']]],
  [
    'copy t from stdin;\n\\.\ncopy u from stdin;\n\\.\n',
    [
      ['copy t from stdin', ''],
      ['copy u from stdin', ''],
    ],
  ],
])('%j', (text, pieces) => {
  expect(shownOf(text)).toEqual(pieces)
})

test('what stands behind a COPY in its line is not data', () => {
  expect(shownOf('copy t from stdin; select 1;\n1\n')).toHaveLength(1)
  expect(shownOf('copy t from stdin; -- x\rselect 1;\n1\n')).toHaveLength(1)
})

test('every COPY gets its data back, whatever is in them and around', () => {
  const line = fc
    .string({ unit: fc.constantFrom(...`\\.;'"$/*-\t€😀a`) })
    .filter((text) => text !== '\\.')
    .map((text) => `${text}\n`)
  const block = fc.array(line).map((lines) => lines.join(''))
  const sql = fc.constantFrom('', '\n', '-- x;\n', "select ';';\n", '\\restrict x\n', '/* copy t from stdin;\n*/')
  fc.assert(
    fc.property(fc.array(fc.tuple(sql, block), { minLength: 1 }), sql, (blocks, tail) => {
      const text = blocks.map(([before, data]) => `${before}copy t from stdin;\n${data}\\.\n`).join('') + tail
      const copies = piecesOf(text).filter((piece) => piece.kind === 'copy')
      expect(copies.map(({ data }) => [...chunksOf(text, data)].join(''))).toEqual(blocks.map(([, data]) => data))
      for (const piece of copies) expect(text.slice(piece.start)).toMatch(/^copy t from stdin;/)
    }),
  )
})

test('no chunk ends within a character', () => {
  const text = `x${'😀'.repeat(100_000)}`
  const chunks = [...chunksOf(text, { start: 1, end: text.length })]
  expect(chunks.length).toBeGreaterThan(2)
  expect(Buffer.concat(chunks.map((chunk) => Buffer.from(chunk))).toString()).toBe(text.slice(1))
})

const row = (i: number) => `insert into t values (${i}, '; -- ');\n`
const long = Array.from({ length: 40_000 }, (_, i) => row(i)).join('')

test('cuts a long text between its statements, and nothing of it is lost', () => {
  const text = `create table t (a int, b text);\n${long}`
  const pieces = piecesOf(text)
  expect(pieces.length).toBeGreaterThan(2)
  expect(pieces.map((piece) => piece.text).join('')).toBe(text)
  for (const piece of pieces) {
    expect(piece.text.length).toBeLessThanOrEqual(messageLength)
    expect(text.startsWith(piece.text, piece.start)).toBe(true)
  }
})

test('a single long statement is one piece', () => {
  const text = `select 1;\ninsert into t values ${'(1),'.repeat(200_000)}(2);\nselect 2`
  expect(piecesOf(text).map((piece) => piece.text.slice(0, 12).trim())).toEqual([
    'select 1;',
    'insert into',
    'select 2',
  ])
})

test.each([
  ["set standard_conforming_strings = 'on'; set client_encoding to utf8;", true],
  ['set standard_conforming_strings = off;', false],
  ['SET NAMES LATIN1;', false],
  ["select set_config('client_encoding', 'latin1', false);", false],
])('a long text with %s is cut: %s', (first, isCut) => {
  expect(piecesOf(first + long).length > 1).toBe(isCut)
})

test('statements that are not to be sent are blanks, and no piece has nothing else', () => {
  const text = `begin;\n${long}commit;\n`
  const { statements } = scan(text)
  const around = [statements.at(0)!, statements.last!]
  const pieces = piecesOf(text, scan(text), around)
  expect(pieces.map((piece) => piece.text).join('')).toBe(`      \n${long}       \n`)
  expect(piecesOf('begin;\ncommit;', scan('begin;\ncommit;'), [scan('begin;').statements.at(0)!])).toHaveLength(1)
})
