import { expect, test } from 'vitest'
import { inspectSeed } from './inspect.ts'

const refusal = (text: string) => {
  try {
    inspectSeed('a.sql', text)
  } catch (error) {
    return error
  }
  return undefined
}

test('refuses statements that would end the transaction, with their place', () => {
  expect(refusal("insert into a values ('😀'); commit;\nselect 1")).toMatchObject({
    kind: 'seed',
    message: 'a.sql, line 1: COMMIT in a seed',
    place: { file: 'a.sql', line: 1, column: 29 },
    excerpt: "  1 | insert into a values ('😀'); commit;\n    |                              ^",
  })
  expect(refusal('\nbegin;')).toMatchObject({ place: { line: 2, column: 1 } })
})

test('refuses an open comment, a psql command and COPY from the client', () => {
  expect(refusal('select 1;\n/* open')).toMatchObject({
    message: 'a.sql, line 2: the comment that opens here is never closed',
  })
  expect(refusal('\\connect other')).toMatchObject({ message: 'a.sql, line 1: this is a psql command, not SQL' })
  expect(refusal('copy a from stdin;')).toMatchObject({ message: 'a.sql, line 1: COPY from the client in an SQL seed' })
})

test('ignores words in strings and function bodies', () => {
  expect(refusal("insert into a values ('commit;'); do $$ begin null; end $$; -- commit;")).toBeUndefined()
})
