import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isClientCopy, isTransactionControl, scan } from './scan.ts'

const statementsOf = (text: string) => scan(text).statements.map(({ start, end }) => text.slice(start, end).trim())

test.each([
  ['select 1; select 2', ['select 1', 'select 2']],
  [';; select 1 ;;', ['select 1']],
  ['-- a; b\n/* c; /* d; */ e; */ select 1', ['select 1']],
  [`select 'a;''b'; select "c;""d"`, [`select 'a;''b'`, `select "c;""d"`]],
  [`select E'a\\';b'; select e'\\\\'; select 'c\\'`, [`select E'a\\';b'`, `select e'\\\\'`, `select 'c\\'`]],
  [`select E'a' -- x\n 'b\\';c'; select 2`, [`select E'a' -- x\n 'b\\';c'`, 'select 2']],
  [`select U&'\\0041;' uescape '!'; select nocase'\\'`, [`select U&'\\0041;' uescape '!'`, `select nocase'\\'`]],
  ['select $$;$x$;$$; select $x$;$$;$x$', ['select $$;$x$;$$', 'select $x$;$$;$x$']],
  ['select $1; select a$b$; select c$b$', ['select $1', 'select a$b$', 'select c$b$']],
  ['select 1); drop table t', ['select 1)', 'drop table t']],
  ['select 1)); select (2; 3); drop table t', ['select 1))', 'select (2; 3)', 'drop table t']],
  ['select $größe$;$größe$; select 2', ['select $größe$;$größe$', 'select 2']],
  [
    'create rule r as on insert to t do (select 1; select 2); select 3',
    ['create rule r as on insert to t do (select 1; select 2)', 'select 3'],
  ],
  [
    'create or replace function f() returns int begin atomic select case when true then 1 end as end; select 2; end; select 3',
    [
      'create or replace function f() returns int begin atomic select case when true then 1 end as end; select 2; end',
      'select 3',
    ],
  ],
  [
    'create procedure p() language sql begin atomic end; begin',
    ['create procedure p() language sql begin atomic end', 'begin'],
  ],
])('%j', (text, statements) => {
  expect(statementsOf(text)).toEqual(statements)
})

test.each([
  ['select 1; /* a /* b */', 'comment', 10],
  [`select 'a''`, 'string', 7],
  [`select E'a\\'`, 'string', 7],
  ['select "a', 'quoted identifier', 7],
  ['select $a$ $b$', 'dollar-quoted string', 7],
] as const)('%j ends inside a %s', (text, what, at) => {
  expect(scan(text).unterminated).toEqual({ what, at })
})

test('finds a backslash outside quotes only', () => {
  expect(scan(`select '\\', "\\", $$\\$$ -- \\\n\\connect x`).backslash).toBe(28)
  expect(scan(`select E'\\n'`).backslash).toBeUndefined()
})

test.each([
  ...[
    'BEGIN',
    'begin isolation level serializable',
    'start transaction',
    'commit and chain',
    'End',
    'rollback',
    'abort',
  ],
  ...['savepoint a', 'rollback to a', 'release a', "prepare transaction 'x'", "commit prepared 'x'", '/* x */ commit'],
])('%j controls a transaction', (text) => {
  expect(scan(text).statements.map(isTransactionControl)).toEqual([true])
})

test.each([
  'select commit',
  '"begin"',
  'do $$ begin null; end $$',
  'prepare p as select 1',
  'set transaction read only',
])('%j does not', (text) => {
  expect(scan(text).statements.map(isTransactionControl)).toEqual([false])
})

test.each([
  ['copy t (a, b, c, d, e, f, g) from stdin', true],
  ['COPY "t" FROM STDIN with (format csv)', true],
  ['copy (select 1) to stdout', true],
  [`copy t from '/tmp/x'`, false],
  ['copy stdin from program $$x$$', false],
])('%j is a copy with the client: %s', (text, expected) => {
  expect(scan(text).statements.map(isClientCopy)).toEqual([expected])
})

const piece = fc.oneof(
  fc.constantFrom(
    'select',
    '1',
    'a$',
    ' ',
    '\n',
    '(',
    ')',
    'case',
    '-- ;commit\n',
    '/* ; /* ; */ commit; */',
    'x.end',
    '+',
    'é',
  ),
  // Without a backslash: behind E'' and the end of a line it goes on as part of that string.
  fc.string().map((text) => `'${text.replaceAll("'", "''").replaceAll('\\', '')}'`),
  fc.string().map((text) => `"${text.replaceAll('"', '""')}"`),
  fc.string().map((text) => ` E'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`),
  fc.string().map((text) => ` $q$${text.replaceAll('$', '')}$q$`),
)
const statement = fc
  .array(piece, { minLength: 1 })
  .map((pieces) => `select ${pieces.filter((text) => text !== '(' && text !== ')').join(' ')}`)

test('splits at the semicolons between statements, whatever is in them', () => {
  fc.assert(
    fc.property(fc.array(statement, { minLength: 1 }), (statements) => {
      const result = scan(statements.join(';'))
      expect(result.statements).toHaveLength(statements.length)
      expect(result.unterminated).toBeUndefined()
    }),
  )
})

test('scanning comes to an end on any text', () => {
  const noise = fc.string({ unit: fc.constantFrom(...`'"$/*-;\\eE()a \n`) })
  fc.assert(
    fc.property(noise, (text) => {
      const { statements } = scan(text)
      let before = 0
      for (const { start, end } of statements) {
        expect(start).toBeLessThan(end)
        expect(start).toBeGreaterThanOrEqual(before)
        before = end
      }
    }),
  )
})

test('takes the lines of pg_dump between statements for what they are, and no others', () => {
  const { restricts, backslash, statements } = scan('\\restrict a1\nselect 1;\r\n\\unrestrict a1 \r\n')
  expect(restricts).toEqual([
    { start: 0, end: 12 },
    { start: 24, end: 39 },
  ])
  expect([backslash, statements.length]).toEqual([undefined, 1])
})

test.each([
  ['\\restrict', 0],
  [' \\restrict a', 1],
  ['\\restrict `a`', 0],
  ['\\restrict a b', 0],
  ['select 1\n\\restrict a\n', 9],
  ['\\restrict a\n\\connect x', 12],
  ['\\.\n', 0],
])('%j holds another command of psql', (text, at) => {
  expect(scan(text).backslash).toBe(at)
})

test('the data of a COPY are not SQL', () => {
  const text = `COPY t FROM stdin;\n1\t'\n\\.\nselect 2;\ncopy u from stdin;\n"`
  expect(statementsOf(text)).toEqual(['COPY t FROM stdin', 'select 2', 'copy u from stdin'])
  expect(scan(text)).toMatchObject({
    unterminated: undefined,
    backslash: undefined,
    copies: [
      { statement: 0, start: 19, end: 23, closed: true, next: 26 },
      { statement: 2, closed: false, end: text.length, next: text.length },
    ],
  })
})

test.each([
  `copy t from '/x';\n"`,
  `copy (select * from stdin) to '/x';\n"`,
  `copy t to stdin;\n"`,
  `select 'copy t from stdin;\n';"`,
])('%j holds no data', (text) => {
  const { copies, unterminated } = scan(text)
  expect(copies).toEqual([])
  expect(unterminated?.what).toBe('quoted identifier')
})

test('a long line of dashes behind an escape string takes no time', () => {
  const text = `select E'a' ${'-'.repeat(10_000)}\n from t; select 2`
  expect(statementsOf(text)).toHaveLength(2)
})

test('takes time in proportion to the text', () => {
  const once = (rows: number) => {
    const text = `copy t from stdin;\n${"1\tit's\\N\n".repeat(rows)}\\.\n${"insert into t values (E'\\n');\n".repeat(rows)}`
    const startedAt = performance.now()
    expect(scan(text).statements).toHaveLength(rows + 1)
    return performance.now() - startedAt
  }
  // Quadratic would be 64 times as much, every time; a busy machine only sometimes makes it more than 24.
  const isProportional = () => once(80_000) < 24 * Math.max(once(10_000), 2)
  expect(Array.from({ length: 10 }).some(isProportional)).toBe(true)
})

test('keeps places of statements, not objects, and no words of those that only read or write rows', () => {
  const text = `insert into t values (1); Grant select on t to a; select 'x'; (select 1); copy t (a, b) from '/x'`
  const { statements } = scan(text)
  expect(statements).toHaveLength(5)
  expect(statements.map(({ words }) => words.join(' '))).toEqual([
    'insert',
    'grant select on t to a',
    'select',
    'select',
    'copy t from',
  ])
  expect([...statements.commands()].map(({ words: [first] }) => first)).toEqual(['grant', 'select', 'copy'])
  expect(statements.findCommand(({ words }) => words[0] === 'copy')?.start).toBe(statements.startOf(4))
  expect([statements.at(-1), statements.at(5)]).toEqual([undefined, undefined])
  expect(statements.last).toEqual(statements.at(4))
})
