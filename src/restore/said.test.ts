import { expect, test } from 'vitest'
import { causeOf, causes, readFailures, readSaid } from './said.ts'

test('the whole statement and the DETAIL are shown, not the row that a COPY quotes', () => {
  const statement = 'ALTER TABLE ONLY public.t\n    ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES public.k(a);'
  const query = `pg_restore: error: could not execute query: ERROR:  insert or update on table "t" violates foreign key constraint "f"\nDETAIL:  Key (a)=(7) is not present in table "k".\nCommand was: ${statement}\n\n\npg_restore: warning: x`
  expect(readSaid(query)).toEqual({
    message: 'insert or update on table "t" violates foreign key constraint "f"',
    excerpt: `  DETAIL:  Key (a)=(7) is not present in table "k".\n  ${statement}`,
  })
  const copy =
    'pg_restore: error: COPY failed for table "t": ERROR:  invalid input syntax\nCONTEXT:  COPY t, line 1, column a: "secret"'
  expect(readSaid(copy)).toEqual({
    message: 'COPY failed for table "t": ERROR:  invalid input syntax',
    excerpt: undefined,
  })
  expect(readSaid('')).toEqual({ message: undefined, excerpt: undefined })
})

test.for<[string, string | undefined]>([
  ['function f(integer) does not exist', '42883'],
  ['COPY failed for table "t": ERROR:  relation "t" does not exist', '42P01'],
  ['COPY failed for table "t": ERROR:  value for domain d violates check constraint "c"', '23514'],
  ['insert or update on table "t" violates foreign key constraint "f"', '23503'],
  ['could not extend file', undefined],
])('the cause of: %s', ([message, code]) => {
  expect(causeOf(message)).toBe(code && causes[code])
})

test('while pg_restore goes on, each failure is named by its entry', () => {
  const stderr = `pg_restore: while PROCESSING TOC:
pg_restore: from TOC entry 3321; 1259 16420 INDEX t_idx postgres
pg_restore: error: could not execute query: ERROR:  function f(integer) does not exist
LINE 1: select f($1)
Command was: CREATE INDEX t_idx ON public.t USING btree (public.g(a));


pg_restore: from TOC entry 3410; 0 16400 TABLE DATA u postgres
pg_restore: error: COPY failed for table "u": ERROR:  new row for relation "u" violates check constraint "c"
DETAIL:  Failing row contains (1).
CONTEXT:  COPY u, line 1: "1"
pg_restore: error: could not execute query: ERROR:  another of the same entry
Command was: select 1;
pg_restore: warning: errors ignored on restore: 3`
  expect(readFailures(stderr)).toEqual([
    { id: 3321, entry: 'INDEX t_idx postgres', problem: 'function f(integer) does not exist' },
    {
      id: 3410,
      entry: 'TABLE DATA u postgres',
      problem: 'new row for relation "u" violates check constraint "c" (Failing row contains (1).)',
    },
    { id: 3410, entry: 'TABLE DATA u postgres', problem: 'another of the same entry' },
  ])
})

test('a pg_restore that did not come to the end, or lost its connection, did not only meet failures', () => {
  const failed = 'pg_restore: error: could not execute query: '
  const ignored = 'pg_restore: warning: errors ignored on restore: 2'
  expect(readFailures('pg_restore: error: could not read from input file: end of file')).toBeUndefined()
  expect(readFailures(`${failed}ERROR:  x\n${ignored}\nnot the last line`)).toBeUndefined()
  for (const lost of [
    'FATAL:  terminating connection',
    'server closed the connection unexpectedly',
    'no connection to the server',
  ])
    expect(readFailures(`${failed}${lost}\n${ignored}`), lost).toBeUndefined()
})
