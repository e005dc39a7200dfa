import { expect } from 'vitest'
import type { Db } from '../src/postgres/db.ts'
import { readOwnership } from '../src/roles/ownership.ts'
import { type Sql, test } from './support/postgres.ts'

const questionOf = (role: string) => ({
  roles: [role],
  users: [],
  memberOf: [],
  from: [],
  to: role,
  toRoles: [role],
  heirs: [],
})

/** The names of what the role cannot use, and how often the server was asked. */
async function unusableBy(sql: Sql, role: string): Promise<{ names: string[]; asked: number }> {
  let asked = 0
  const counting = {
    unsafe(text: string) {
      asked++
      return sql.unsafe(text)
    },
  } as unknown as Db
  const { unusable } = await readOwnership(counting, questionOf(role))
  return { names: unusable.map(({ name }) => name), asked }
}

const kinds: [kind: string, name: string, create: string, drop: string][] = [
  ['schema', 'odd', 'create schema odd', 'drop schema odd'],
  ['table', 't', 'create table t (a int)', 'drop table t'],
  ['view', 'v', 'create view v as select 1 as a', 'drop view v'],
  ['sequence', 's', 'create sequence s', 'drop sequence s'],
  ['routine', 'f', "create function f() returns int language sql as 'select 1'", 'drop function f()'],
  ['enum', 'mood', "create type mood as enum ('ok')", 'drop type mood'],
  ['domain', 'positive', 'create domain positive as int', 'drop domain positive'],
  ['composite type', 'pair', 'create type pair as (a int)', 'drop type pair'],
]

test('one object of somebody else, of any kind, is found', async ({ database, sql }) => {
  const role = `${database}_owner`
  await sql.unsafe(`create role ${role}; alter schema public owner to ${role}`)
  await sql.unsafe(`set role ${role}; create table own (id serial); reset role`)
  await sql.unsafe('alter default privileges revoke execute on routines from public')
  await sql.unsafe('alter default privileges revoke usage on types from public')
  expect(await unusableBy(sql, role)).toEqual({ names: [], asked: 1 })
  for (const [kind, name, create, drop] of kinds) {
    await sql.unsafe(create)
    expect([kind, (await unusableBy(sql, role)).names]).toEqual([kind, [name]])
    await sql.unsafe(drop)
  }
})

test('what belongs to an extension, with the types that come with it, does not count', async ({ database, sql }) => {
  const role = `${database}_owner`
  await sql.unsafe(`create role ${role}; alter schema public owner to ${role}`)
  await sql.unsafe('create extension citext; create extension hstore')
  expect(await unusableBy(sql, role)).toEqual({ names: [], asked: 1 })
})
