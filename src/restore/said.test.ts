import { expect, test } from 'vitest'
import { causeOf, causes, readSaid } from './said.ts'

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
