import { expect, test } from 'vitest'
import { linesNaming } from './mentions.ts'

const name = 'schema_migrations'

test.each<[string, number[]]>([
  ['select 1;\nselect max(version) from schema_migrations', [2]],
  ['select * from public.Schema_Migrations, "schema_migrations"', [1]],
  ["do $$\nbegin\n  execute 'drop table schema_migrations';\nend $$;\r\ntable schema_migrations", [3, 5]],
  ["select to_regclass('public.schema_migrations'), E'\\'schema_migrations'", [1]],
  ['-- schema_migrations\n/* schema_migrations */ select 1', []],
  ['select my_schema_migrations, schema_migrations_2, "Schema_Migrations"', []],
  ["select 'unclosed schema_migrations", [1]],
  ['select $1, $', []],
])('%s', (text, lines) => {
  expect(linesNaming(text, name)).toEqual(lines)
})

test('a name may have any characters', () => {
  expect(linesNaming('select * from "a.b(c"', 'a.b(c')).toEqual([1])
  expect(linesNaming("select 'x a.b(c y'", 'a.b(c')).toEqual([1])
})
