import { expect, test } from 'vitest'
import { mentionsIn } from './unqualified.ts'

const names = (body: string) => mentionsIn(body).map(({ kind, name }) => `${kind} ${name}`)

test.for<[string, string[]]>([
  ['select unaccent($1)', ['function unaccent']],
  ['select app.unaccent($1), "Un""Accent" ($1)', ['function Un"Accent']],
  ['begin return Inner_One($1); end', ['function inner_one']],
  ['select 1 from users u join app.orders o on true join "Big" b on true', ['relation users', 'relation Big']],
  ['select $1::mood, $1::app.mood, $2 :: text', ['type mood', 'type text']],
  ['select a is distinct from b', []],
  [`select 'unaccent(x)' -- from users\n /* f() */`, []],
  ['select f(f(1))', ['function f']],
])('%s', ([body, expected]) => expect(names(body)).toEqual(expected))
