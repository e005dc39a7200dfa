import { expect, test } from 'vitest'
import { findServerWide, withoutServerWide } from './server-wide.ts'

const what = (text: string) => findServerWide(text)[0]?.what

test.each([
  ['create role app', 'CREATE ROLE'],
  ['CREATE /* a */ USER app', 'CREATE USER'],
  ['alter group a add user b', 'ALTER GROUP'],
  ['drop role if exists app', 'DROP ROLE'],
  ['alter database shop set search_path = app', 'ALTER DATABASE'],
  ['create database x', 'CREATE DATABASE'],
  ["alter system set work_mem = '1MB'", 'ALTER SYSTEM'],
  ["create tablespace fast location '/x'", 'CREATE TABLESPACE'],
  ["create subscription s connection '' publication p", 'CREATE SUBSCRIPTION'],
  ['grant a, b to c with admin option', 'GRANT of a role'],
  ['revoke admin option for a from b', 'REVOKE of a role'],
  ['grant connect on database shop to app', 'GRANT … ON DATABASE'],
  ['grant set on parameter work_mem to app', 'GRANT … ON PARAMETER'],
  ["comment on role app is 'x'", 'COMMENT … ON ROLE'],
  ["security label for x on database shop is 'x'", 'SECURITY … ON DATABASE'],
  ['reassign owned by a to b', 'REASSIGN OWNED'],
  ['drop owned by a', 'DROP OWNED'],
  ["copy t to program 'curl x'", 'COPY … PROGRAM'],
  ["copy (select 1) to '/tmp/x' csv", 'COPY TO a file'],
  ["select pg_create_logical_replication_slot('a', 'b')", 'pg_create_logical_replication_slot()'],
  ['do $$ begin drop role app; end $$', 'DROP ROLE'],
  ["do 'begin create role app; end'", 'CREATE ROLE'],
  ["do $$ begin execute 'create role ' || 'app'; end $$ language plpgsql", 'CREATE ROLE'],
  ["do $$ begin execute format('grant %I to app', 'x'); end $$", 'GRANT of a role'],
  ["do $$ begin execute $x$ alter database shop set a.b = '1' $x$; end $$", 'ALTER DATABASE'],
  ['do $$ begin if true then grant connect on database shop to app; end if; end $$', 'GRANT … ON DATABASE'],
])('%s', (text, expected) => expect(what(text)).toBe(expected))

test.each([
  'create table role (id int); alter table "database" add user_id int',
  'create user mapping for app server s; drop user mapping if exists for app server s',
  'grant select on users to app; revoke all on schema public from public',
  'grant select on all tables in schema "database" to app',
  "comment on table users is 'create role app'; comment on column database.x is 'y'",
  'alter default privileges for role app grant select on tables to x',
  'alter table t owner to app; create schema x authorization app',
  'create function f() returns void language plpgsql as $$ begin create role app; end $$',
  "select 'create role app'; insert into notes values ('drop database shop')",
  '-- create role app\n/* alter system */ select 1',
  'copy t (id) from stdin;\n1\n\\.\nselect 1',
  'do $$ begin insert into t (comment) select comment from x join role on role.id = x.id; end $$',
  "do $$ begin raise notice 'create role app'; end $$",
  "do $$ begin if not exists (select from pg_roles where rolname = 'app') then create role app; end if; end $$",
  'do $$ begin create role app login; exception when duplicate_object then null; end $$',
  "do $$ begin execute format('grant connect on database %I to app', current_database()); end $$",
  "do $$ begin execute 'alter database ' || quote_ident(current_database()) || ' set search_path = app'; end $$",
])('%s stays in its database', (text) => expect(what(text)).toBeUndefined())

test('tells where the statements are', () => {
  const text = 'select 1;\n-- a role\ncreate role app;grant select on a to app; drop role app'
  expect(findServerWide(text).map(({ start, end }) => text.slice(start, end))).toEqual([
    'create role app',
    'drop role app',
  ])
})

test.each([
  ['create role app', true],
  ["alter system set work_mem = '1MB'", true],
  ['grant a to b', true],
  ['revoke connect on database shop from public', true],
  ["comment on role app is 'x'", true],
  ['reassign owned by a to b', false],
  ["comment on subscription s is 'x'", false],
  ["create subscription s connection '' publication p", false],
  ["copy t to program 'curl x'", false],
  ["insert into slots select pg_create_logical_replication_slot('a', 'b')", false],
  ['do $$ begin drop role app; end $$', false],
])('does nothing else: %s, %s', (text, isAll) => expect(findServerWide(text)).toMatchObject([{ isAll }]))

test('a script without them keeps everything else where it was', () => {
  const script = (text: string) => ({ path: '/m/1.sql', text, line: 1, transactional: false })
  const leftOut: string[] = []
  const noted = (what: string) => leftOut.push(what)
  const text = 'create role app; select 1; drop owned by app'
  expect(withoutServerWide(script(text), noted)).toEqual(script(`${' '.repeat(16)} select 1; drop owned by app`))
  expect(withoutServerWide(script('create role app'), noted)).toMatchObject({ transactional: true })
  expect(leftOut).toEqual(['CREATE ROLE', 'CREATE ROLE'])
  const same = script('select 1')
  expect(withoutServerWide(same, noted)).toBe(same)
})
