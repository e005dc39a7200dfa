import { describe, expect, test } from 'vitest'
import { emptied, tablesMadeBy } from './emptied.ts'

test.each([
  [['create table a (id int); create table if not exists app."B c" (id int)'], ['a', 'B c']],
  [['CREATE UNLOGGED TABLE A(id int)', 'create temp table t (id int); create temporary table u (id int)'], ['a']],
  [['create table a (); create table b ()', 'drop table if exists a, public.b cascade'], []],
  [['create table a ()', 'alter table only a rename to b', 'drop table b'], []],
  [['create table a ()', 'drop schema public cascade', 'create schema public; create table c ()'], ['c']],
  [['create table a () partition by list (x); create table p partition of a default', 'drop table a'], []],
  [['create table a (); create table c () inherits (a)', 'drop table a cascade'], []],
  [['create table pg_temp.x (i int)'], []],
  [['create table a ()', "do $$ begin execute 'drop table a'; end $$"], []],
  [['create table a ()', 'drop table a -- gone\n;'], []],
  [['create table a ()', 'drop /* x */ table a'], []],
  [['create table /* x */ users ()'], ['users']],
  [["insert into notes values ('create table a ()'); do $$ begin execute 'create table b ()'; end $$"], []],
  [['-- create table a ()\n/* create table b () */ select 1'], []],
])('%j leave the tables %j', (texts, tables) => {
  expect(tablesMadeBy(texts)).toEqual(tables)
})

describe('a database without tables', () => {
  const made = () => ['create table a (); create table b (); create table c (); create table d ()']

  test('is an error when applied migrations have made tables', () => {
    expect(emptied(0, made)).toContain('(a, b, c and 1 more)')
  })

  test('is fine while there is a table', () => {
    expect(emptied(1, made)).toBeUndefined()
  })

  test('is fine when no migration made tables', () => {
    expect(
      emptied(0, () => ['select 1', 'create function f() returns int language sql as $$ select 1 $$']),
    ).toBeUndefined()
  })
})
