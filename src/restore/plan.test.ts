import { describe, expect, test } from 'vitest'
import type { TocEntry } from '../archive/toc.ts'
import { loginTriggersIn, named, planLoad } from './plan.ts'
import type { LoadStep } from './steps.ts'

let id = 0
const entry = (desc: string, tag: string, defn = '', more: Partial<TocEntry> = {}): TocEntry => ({
  ...{ id: ++id, desc, tag, defn, dropStmt: '', tablespace: '', owner: 'app', dependencies: [] },
  ...{ section: sectionOf(desc), namespace: 'app', ...more },
})

const sectionOf = (desc: string): TocEntry['section'] =>
  /^(ACL|COMMENT|SECURITY LABEL)$/.test(desc)
    ? 'none'
    : /^(TABLE DATA|BLOB METADATA|BLOBS|SEQUENCE SET)$/.test(desc)
      ? 'data'
      : /INDEX|CONSTRAINT|TRIGGER|RULE|POLICY|ROW SECURITY|PUBLICATION|SUBSCRIPTION|MATERIALIZED VIEW DATA|DEFAULT ACL/.test(
            desc,
          )
        ? 'post-data'
        : 'pre-data'

const plan = (...entries: TocEntry[]) => planLoad({ entries }, { noOwner: false })
const shown = (steps: LoadStep[]) =>
  steps.map(({ by, runsCode, entries }) => `${by}${runsCode ? ', runs code' : ''}: ${entries.map(named).join(', ')}`)
const madeBy = (made: TocEntry, ...others: TocEntry[]) => shown(plan(...others, made).before).at(-1)
const fn = (tag: string, defn: string) => entry('FUNCTION', tag, defn)
const domain = entry('DOMAIN', 'checked', 'CREATE DOMAIN app.checked AS integer CONSTRAINT c CHECK (app.f(VALUE));\n')

describe('the order', () => {
  test('has the creation of large objects before the data, wherever the archive has it', () => {
    const { before, data } = plan(
      entry('TABLE', 't', 'CREATE TABLE app.t (a integer);\n'),
      entry('TABLE DATA', 't'),
      entry('BLOB METADATA', '4711..4712', '4711\n4712\n', { namespace: '' }),
      entry('BLOBS', '4711..4712', '', { namespace: '' }),
    )
    expect(shown(before)).toEqual(['login: table app.t, blob metadata 4711..4712'])
    expect(shown([data])).toEqual(['login, runs code: table data app.t, blobs 4711..4712'])
  })

  test('is schemas, extensions, everything, data, indexes, views, and policies last', () => {
    const { before, data, after, views, policies, finish } = plan(
      entry('ENCODING', 'ENCODING', "SET client_encoding = 'UTF8';\n"),
      entry('DATABASE', 'shop'),
      entry('ACL', 'DATABASE shop'),
      entry('COLLATION', 'plain'),
      entry('SCHEMA', 'app', '', { namespace: '' }),
      entry('EXTENSION', 'hstore', 'CREATE EXTENSION IF NOT EXISTS hstore WITH SCHEMA app;\n', {
        owner: '',
        namespace: '',
      }),
      entry('TABLE', 't', 'CREATE TABLE app.t (a integer);\n'),
      entry('TABLE DATA', 't'),
      entry('INDEX', 'i'),
      entry('TRIGGER', 't x'),
      entry('POLICY', 't p'),
      entry('ROW SECURITY', 't'),
      entry('MATERIALIZED VIEW DATA', 'm'),
      entry('PUBLICATION', 'p', '', { namespace: '' }),
      entry('COMMENT', 'TABLE t'),
      entry('ACL', 'TABLE t'),
      entry('EVENT TRIGGER', 'e', '', { namespace: '' }),
      entry('COMMENT', 'EVENT TRIGGER e'),
    )
    expect(shown(before)).toEqual([
      'login: schema app',
      'us: extension hstore',
      'login: collation app.plain, table app.t',
    ])
    expect(shown([data])).toEqual(['login, runs code: table data app.t'])
    expect(shown(after)).toEqual(['login, runs code: index app.i', 'login: trigger app.t x'])
    expect([views.map(named), shown(policies)]).toEqual([
      ['materialized view data app.m'],
      ['login: policy app.t p, row security app.t'],
    ])
    expect(finish.objects.map(named)).toEqual(['publication p'])
    expect(finish.remarks.map(named)).toEqual(['comment app.TABLE t'])
    expect(finish.privileges.map(named)).toEqual(['acl app.TABLE t'])
    expect([finish.eventTriggers, finish.eventTriggerRemarks].flat().map(named)).toEqual([
      'event trigger e',
      'comment app.EVENT TRIGGER e',
    ])
    expect(finish.owners.at(0)).toBe('alter SCHEMA "app" owner to "app";')
    expect(finish.eventTriggerOwners).toEqual(['alter EVENT TRIGGER "e" owner to "app";'])
  })

  test('leaves owners and privileges out when nobody is to have any', () => {
    const { finish } = planLoad({ entries: [entry('TABLE', 't'), entry('ACL', 'TABLE t')] }, { noOwner: true })
    expect([finish.owners, finish.privileges]).toEqual([[], []])
  })

  test('a plan names the tablespaces of what it loads', () => {
    expect(
      plan(entry('TABLE', 't', '', { tablespace: 'fast' }), entry('INDEX', 'i', '', { tablespace: 'fast' }))
        .tablespaces,
    ).toEqual(['fast'])
  })
})

describe('who makes a function', () => {
  test.for([
    [
      'plain',
      'CREATE FUNCTION app.f(integer) RETURNS integer\n    LANGUAGE plpgsql\n    AS $$ begin end $$;\n',
      'login',
    ],
    [
      'in SQL, with a body',
      'CREATE FUNCTION app.f() RETURNS integer\n    LANGUAGE sql\n    BEGIN ATOMIC\n SELECT 1 AS leakproof;\nEND;\n',
      'login',
    ],
    ['in C', "CREATE FUNCTION app.f(text) RETURNS integer\n    LANGUAGE c STRICT\n    AS '$libdir/x', 'f';\n", 'us'],
    [
      'in another language',
      'CREATE FUNCTION app.f() RETURNS integer\n    LANGUAGE plpython3u\n    AS $$ return 1 $$;\n',
      'us',
    ],
    [
      'leakproof',
      'CREATE FUNCTION app.f(integer) RETURNS boolean\n    LANGUAGE plpgsql LEAKPROOF\n    AS $$ begin end $$;\n',
      'us',
    ],
    [
      'with C in its name',
      'CREATE FUNCTION app." language c "(integer) RETURNS app.language\n    LANGUAGE sql\n    AS $$ language c leakproof $$;\n',
      'login',
    ],
    [
      'with C in a default',
      "CREATE FUNCTION app.f(a text DEFAULT ' language c ') RETURNS text\n    LANGUAGE sql\n    AS $$ select 1 $$;\n",
      'login',
    ],
  ] as const)('%s', ([, defn, by]) => {
    expect(madeBy(fn('f(integer)', defn))).toBe(`${by}: function app.f(integer)`)
  })
})

describe('who makes the rest', () => {
  test.for([
    ['TYPE', "CREATE TYPE app.t AS ENUM (\n    'internallength'\n);\n", 'login'],
    ['TYPE', 'CREATE TYPE app.t AS (\n\tinput integer\n);\n', 'login'],
    ['TYPE', 'CREATE TYPE app.t (\n    INTERNALLENGTH = variable,\n    INPUT = app.t_in\n);\n', 'us'],
    ['SHELL TYPE', 'CREATE TYPE app.t;\n', 'us'],
    ['CAST', 'CREATE CAST (app.t AS text) WITHOUT FUNCTION;\n', 'us'],
    ['AGGREGATE', 'CREATE AGGREGATE app.t(integer) (\n    SFUNC = app.f,\n    STYPE = internal\n);\n', 'us'],
    ['AGGREGATE', 'CREATE AGGREGATE app.t(integer) (\n    SFUNC = app.f,\n    STYPE = integer\n);\n', 'login'],
    [
      'AGGREGATE',
      "CREATE AGGREGATE app.t(integer) (\n    SFUNC = app.f,\n    STYPE = app.checked,\n    INITCOND = '1'\n);\n",
      'login, runs code',
    ],
    ['OPERATOR', 'CREATE OPERATOR app.t (\n    FUNCTION = app.f,\n    RESTRICT = eqsel\n);\n', 'login'],
    ['OPERATOR', 'CREATE OPERATOR app.t (\n    FUNCTION = app.f,\n    RESTRICT = app.sel\n);\n', 'us'],
    [
      'FOREIGN TABLE',
      "CREATE FOREIGN TABLE app.t (\n    a integer\n)\nSERVER s\nOPTIONS (\n    x 'default'\n);\n",
      'us',
    ],
    ['FOREIGN TABLE', 'CREATE FOREIGN TABLE app.t (\n    a integer DEFAULT app.f()\n)\nSERVER s;\n', 'login'],
    ['TABLE', 'CREATE TABLE app.t (\n    a integer DEFAULT app.f()\n);\n', 'login'],
    ['TABLE', 'CREATE TABLE app.t (\n    a integer GENERATED ALWAYS AS (app.f(1)) STORED\n);\n', 'login, runs code'],
    ['TABLE', 'CREATE TABLE app.t (\n    a integer\n)\nPARTITION BY RANGE (app.f(a));\n', 'login, runs code'],
    ['TABLE', 'CREATE TABLE app.t (\n    a integer\n)\nPARTITION BY RANGE (a);\n', 'login'],
    ['TABLE ATTACH', "ALTER TABLE ONLY app.p ATTACH PARTITION app.t FOR VALUES IN ('1');\n", 'login, runs code'],
  ] as const)('%s %s', ([desc, defn, by]) => {
    expect(madeBy(entry(desc, 't', defn))).toBe(`${by}: ${desc.toLowerCase()} app.t`)
  })

  test('a value of an own type runs code when it is read, if a domain may be in it', () => {
    const table = (type: string) =>
      entry('TABLE', 't', `CREATE TABLE app.t (\n    a text DEFAULT '{1}'::${type}[]\n);\n`)
    const mood = entry('TYPE', 'mood', "CREATE TYPE app.mood AS ENUM (\n    'a'\n);\n")
    expect(madeBy(table('app.checked'), domain)).toBe('login, runs code: table app.t')
    expect(madeBy(table('app.mood'), domain, mood)).toBe('login: domain app.checked, type app.mood, table app.t')
    expect(madeBy(table('app.other'), domain)).toBe('login: domain app.checked, table app.t')
    expect(madeBy(table('app.mood'), mood)).toBe('login: type app.mood, table app.t')
  })

  test('what a step changes on purpose is named', () => {
    const table = entry('TABLE', 'Odd "t"', 'CREATE TABLE app.x (a integer);\n')
    const { after } = plan(table, entry('INDEX', 'i', '', { dependencies: [table.id, 999] }))
    expect(after[0]?.relations).toEqual([{ namespace: 'app', name: 'Odd "t"' }])
  })
})

describe('what cannot be made without running code', () => {
  const own = fn(
    'valid(text[], oid)',
    'CREATE FUNCTION app.valid(text[], oid) RETURNS void\n    LANGUAGE plpgsql\n    AS $$ begin end $$;\n',
  )
  const inC = fn(
    'valid(text[], oid)',
    "CREATE FUNCTION app.valid(text[], oid) RETURNS void\n    LANGUAGE c\n    AS 'x';\n",
  )
  const wrapper = entry('FOREIGN DATA WRAPPER', 'w', 'CREATE FOREIGN DATA WRAPPER w VALIDATOR app.valid;\n', {
    namespace: '',
  })

  test('is a wrapper that calls a function of the application', () => {
    expect(plan(own, wrapper).problems).toEqual(['foreign data wrapper w calls a function of the application'])
    expect(plan(inC, wrapper).problems).toEqual([])
    expect(plan(wrapper).problems).toEqual([])
  })

  test('is a function that only a superuser may make, with a value of an own type', () => {
    const leakproof = fn(
      'f()',
      "CREATE FUNCTION app.f(a app.checked[] DEFAULT '{1}'::app.checked[]) RETURNS integer\n    LANGUAGE sql LEAKPROOF\n    AS $$ select 1 $$;\n",
    )
    expect(plan(domain, leakproof).problems).toEqual([
      "function app.f() has a value of one of the application's types in its definition",
    ])
  })
})

test('event triggers that run at every login are found, whatever their names, but for disabled ones', () => {
  const of = (tag: string, defn: string) => entry('EVENT TRIGGER', tag, defn, { namespace: '' })
  const entries = [
    of('enter', 'CREATE EVENT TRIGGER enter ON login\n   EXECUTE FUNCTION app.deny();\n'),
    of(
      'a b',
      'CREATE EVENT TRIGGER "a b" ON login\n   EXECUTE FUNCTION app.deny();\n\nALTER EVENT TRIGGER "a b" ENABLE ALWAYS;\n',
    ),
    of(
      'off',
      'CREATE EVENT TRIGGER off ON login\n   EXECUTE FUNCTION app.deny();\n\nALTER EVENT TRIGGER off DISABLE;\n',
    ),
    of('x on login', 'CREATE EVENT TRIGGER "x on login" ON ddl_command_end\n   EXECUTE FUNCTION app.deny();\n'),
    entry('FUNCTION', 'deny()', 'CREATE FUNCTION app.deny() ON login'),
  ]
  expect(loginTriggersIn({ entries })).toEqual(['enter', 'a b'])
})
