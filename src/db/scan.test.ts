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

test('comes to an end on any text', () => {
  const noise = fc.string({ unit: fc.constantFrom(...`'"$/*-;\\eE()a \n`) })
  fc.assert(
    fc.property(noise, (text) => {
      const { statements } = scan(text)
      for (const [i, { start, end }] of statements.entries()) {
        expect(start).toBeLessThan(end)
        expect(start).toBeGreaterThanOrEqual(statements[i - 1]?.end ?? 0)
      }
    }),
  )
})
