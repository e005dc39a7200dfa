import { describe, expect, test } from 'vitest'
import { type LintRuleName, lintRuleNames } from '../config/lint-rules.ts'
import { hazards } from './coverage.ts'
import { lintFiles } from './lint.ts'
import { loadParser } from './parse.ts'
import { findingsOf } from './reference.ts'
import { rules } from './rules.ts'
import type { Finding, LintFile } from './types.ts'

const parser = await loadParser()

type Options = { mode?: LintFile['mode']; before?: string; demanded?: boolean; levels?: 'default' | 'all' }

/** Findings in a text; `before`: the text of an earlier file. Rules that are off by default are on, unless `default` is set. */
function lint(text: string, { mode = 'wrapped', before, demanded = false, levels = 'all' }: Options = {}): Finding[] {
  const file = (name: string, content: string): LintFile => ({
    name,
    path: `${name}.sql`,
    text: content,
    line: 1,
    mode,
    demanded,
  })
  const files = [
    ...(before === undefined ? [] : [{ ...file('001', before), mode: 'wrapped' as const }]),
    file('002', text),
  ]
  const off = rules.filter(({ level }) => level === 'off').map(({ name }) => [name, 'warn'])
  return lintFiles({
    parser,
    files,
    isLinted: ({ name }) => name === '002',
    levels: levels === 'all' ? Object.fromEntries(off) : {},
  })
}

const names = (findings: Finding[]) => findings.map(({ rule }) => rule)

/** [rule, statements it finds, statements it does not find]; each in a file of its own, on tables that exist. */
const cases: [LintRuleName, string[], string[], Options?][] = [
  [
    'index-not-concurrent',
    [
      'create index on t (a)',
      'CREATE UNIQUE INDEX i ON app.t (a)',
      'create index if not exists i on only t (lower(a))',
    ],
    [
      'create index concurrently i on t (a)',
      'create table t (a int); create index on t (a)',
      'create temp table x (a int); create index on x (a)',
    ],
  ],
  [
    'drop-index-not-concurrent',
    ['drop index i', 'drop index if exists app.i cascade'],
    ['drop index concurrently i', 'create table t (a int); create index i on t (a); drop index i', 'drop table t'],
  ],
  [
    'reindex-not-concurrent',
    ['reindex table t', 'reindex (verbose) index i'],
    ['reindex table concurrently t', 'reindex (concurrently) index i', 'create table t (a int); reindex table t'],
  ],
  [
    'detach-partition-not-concurrent',
    ['alter table t detach partition p'],
    ['alter table t detach partition p concurrently', 'alter table t detach partition p finalize'],
  ],
  [
    'attach-partition-scan',
    ['alter table t attach partition p for values in (1)'],
    [
      'create table p (a int); alter table t attach partition p for values in (1)',
      'alter table t attach partition p default',
    ],
  ],
  [
    'fk-validates',
    [
      'alter table t add constraint c foreign key (a) references u (id)',
      'alter table t add foreign key (a) references u',
      'alter table t add column a bigint default 1 references u (id)',
    ],
    [
      'alter table t add constraint c foreign key (a) references u (id) not valid',
      'alter table t add column a bigint references u (id)',
      'create table t (a int); alter table t add foreign key (a) references t2',
    ],
  ],
  [
    'check-validates',
    ['alter table t add constraint c check (a > 0)', 'alter table t add column a int check (a > 0)'],
    [
      'alter table t add constraint c check (a > 0) not valid',
      'create table t (a int); alter table t add check (a > 0)',
    ],
  ],
  [
    'not-valid-and-validate-same-tx',
    ['alter table t add constraint c check (a > 0) not valid; alter table t validate constraint c'],
    [
      'alter table t validate constraint c',
      'alter table t add constraint c check (a > 0) not valid; alter table t validate constraint d',
    ],
  ],
  [
    'set-not-null-scan',
    ['alter table t alter a set not null'],
    ['alter table t alter a drop not null', 'create table t (a int); alter table t alter a set not null'],
  ],
  [
    'add-required-column',
    ['alter table t add a int not null', 'alter table t add column a int primary key'],
    [
      'alter table t add a int',
      'alter table t add a int not null default 1',
      'alter table t add a bigserial not null',
      'alter table t add a bigint generated always as identity not null',
    ],
  ],
  [
    'add-column-volatile-default',
    [
      'alter table t add a uuid default gen_random_uuid()',
      'alter table t add a timestamptz default clock_timestamp()',
      'alter table t add a float default random() * 2',
      "alter table t add a bigint default nextval('s')",
      'alter table t add a text default app.token()',
    ],
    [
      'alter table t add a timestamptz default now()',
      'alter table t add a timestamptz default current_timestamp',
      "alter table t add a jsonb default '{}'",
      "alter table t add a date default (now() at time zone 'utc')::date",
      'alter table t alter a set default gen_random_uuid()',
    ],
  ],
  [
    'add-serial-column',
    [
      'alter table t add a serial',
      'alter table t add a bigserial',
      'alter table t add a bigint generated by default as identity',
    ],
    ['alter table t add a bigint', 'create table t (a bigserial)'],
  ],
  [
    'add-stored-generated-column',
    ['alter table t add a int generated always as (b * 2) stored'],
    [
      'alter table t add a int generated always as (b * 2) virtual',
      'create table t (a int generated always as (b * 2) stored, b int)',
    ],
  ],
  [
    'alter-column-type',
    ['alter table t alter a type bigint', 'alter table t alter column a set data type text using a::text'],
    ['create table t (a int); alter table t alter a type bigint', 'alter table t alter a set default 1'],
  ],
  [
    'add-unique-constraint',
    [
      'alter table t add unique (a)',
      'alter table t add constraint u unique (a, b)',
      'alter table t add column a text unique',
    ],
    ['alter table t add constraint u unique using index u', 'create table t (a int); alter table t add unique (a)'],
  ],
  [
    'add-primary-key',
    ['alter table t add primary key (a)', 'alter table t add column a bigint primary key'],
    [
      'alter table t add constraint p primary key using index p',
      'create table t (a int); alter table t add primary key (a)',
    ],
  ],
  [
    'add-exclusion-constraint',
    ['alter table t add exclude using gist (during with &&)'],
    ['create table t (during tstzrange, exclude using gist (during with &&))'],
  ],
  [
    'rename',
    [
      'alter table t rename a to b',
      'alter table t rename to u',
      'alter schema a rename to b',
      "alter type mood rename value 'a' to 'b'",
      'alter view v rename to w',
    ],
    [
      'alter index i rename to j',
      'alter table t rename constraint a to b',
      'create table t (a int); alter table t rename a to b',
    ],
  ],
  [
    'drop-column',
    ['alter table t drop a', 'alter table t drop column if exists a cascade'],
    [
      'create table t (a int); alter table t drop a',
      'alter table t add column a int; alter table t drop column a',
      'alter table t drop constraint a',
    ],
  ],
  [
    'drop-table',
    ['drop table t', 'drop table if exists app.t, u cascade', 'drop schema app cascade', 'drop foreign table t'],
    ['create table t (a int); drop table t', 'drop view v', 'drop schema app', 'drop function f()'],
  ],
  [
    'drop-not-null',
    ['alter table t alter a drop not null'],
    ['create table t (a int not null); alter table t alter a drop not null'],
  ],
  [
    'drop-constraint-fk',
    ['alter table t drop constraint t_a_fkey; select 1', 'alter table t drop constraint fk_t_a; select 1'],
    ['alter table t drop constraint t_a_fkey', 'alter table t drop constraint t_check; select 1'],
  ],
  ['truncate', ['truncate t', 'truncate t, u cascade'], ['create table t (a int); truncate t']],
  [
    'vacuum-full',
    ['vacuum full t', 'vacuum (full, analyze) t', 'cluster t using i', 'vacuum full', 'cluster'],
    ['vacuum t', 'vacuum (analyze) t', 'analyze t'],
    { mode: 'split' },
  ],
  [
    'refresh-matview-not-concurrent',
    ['refresh materialized view m'],
    [
      'refresh materialized view concurrently m',
      'refresh materialized view m with no data',
      'create materialized view m as select 1; refresh materialized view m',
    ],
  ],
  [
    'create-table-with-fk',
    [
      'create table t (a bigint references u); insert into t select id from u',
      'create table t (a bigint, foreign key (a) references u); update u set a = 1',
    ],
    [
      'create table t (a bigint references u)',
      'create table t (a bigint references u); create table v (b int); create index on v (b); create index on t (a)',
      'create table u (id int primary key); create table t (a int references u); insert into t select id from u',
      'create table t (a int references t); insert into t select 1',
    ],
  ],
  [
    'several-hot-tables-in-one-tx',
    [
      'alter table t add a int; alter table u add a int',
      'truncate t; drop table u',
      'drop table t, u; alter table v add a int',
    ],
    [
      'alter table t add a int; alter table t add b int',
      'create table t (a int); alter table t add b int; alter table u add a int',
      'create trigger g before update on t for each row execute function f(); create trigger g before update on u for each row execute function f()',
      'alter table t validate constraint c; alter table u validate constraint c',
    ],
  ],
  [
    'ddl-and-backfill-same-tx',
    [
      'alter table t add a int; update t set a = 1',
      'alter table t add a int; insert into u select * from t',
      'drop table u; delete from t where a is null',
    ],
    [
      'alter table t add a int',
      'update t set a = 1',
      'create table t (a int); update t set a = 1',
      'alter table t add a int; insert into u values (1)',
    ],
  ],
  [
    'unbatched-update',
    [
      'update t set a = 1',
      'delete from t',
      'update t set a = 1 where a is null',
      'delete from t where a is not null and b is null',
    ],
    [
      'update t set a = 1 where id = 5',
      'delete from t where id in (select id from t limit 100)',
      'update t set a = u.a from u where u.id = t.id',
      'create table t (a int); update t set a = 1',
    ],
  ],
  [
    'enum-add-value-used-same-tx',
    [
      "alter type e add value 'x'; select 'x'::e",
      "alter type e add value 'x'; alter table t alter a set default 'x'::e",
      "alter type e add value 'x'; create table u (a e default 'x')",
      "alter type e add value 'x'; select cast('x' as e)",
    ],
    [
      "alter type e add value 'x'",
      "alter type e add value 'x'; select 'x'::text",
      "alter type e add value 'x'; select 'y'::e",
      "create type e as enum ('a'); alter type e add value 'x'; select 'x'::e",
      "alter type e rename value 'a' to 'x'; select 'x'::e",
      "alter type e add value 'x'; insert into t values ('x')",
    ],
  ],
  [
    'enum-add-without-position',
    ["alter type e add value 'x'"],
    ["alter type e add value 'x' after 'a'", "alter type e rename value 'a' to 'b'"],
  ],
  [
    'nested-or-uncommitted-transaction',
    ['begin; select 1; commit', 'select 1; commit', 'start transaction; select 1; end', 'rollback'],
    [
      'select 1',
      'create function f() returns void language plpgsql as $$ begin end $$',
      'create function f() returns int begin atomic select 1; end',
    ],
  ],
  [
    'nested-or-uncommitted-transaction',
    ['begin; select 1', 'begin; begin; commit'],
    ['begin; select 1; commit', 'select 1'],
    { mode: 'split' },
  ],
  [
    'concurrently-in-transaction',
    [
      'create index concurrently i on t (a)',
      'drop index concurrently i',
      'reindex table concurrently t',
      'alter table t detach partition p concurrently',
    ],
    ['create index i on t (a)', 'refresh materialized view concurrently m'],
  ],
  [
    'concurrently-in-transaction',
    ['begin; create index concurrently i on t (a); commit'],
    ['create index concurrently i on t (a)', 'begin; select 1; commit; create index concurrently i on t (a)'],
    { mode: 'split' },
  ],
  [
    'forbidden-in-transaction',
    [
      'vacuum t',
      'create database d',
      'drop database d',
      "alter system set work_mem = '1MB'",
      'reindex schema app',
      'cluster',
      "create tablespace s location '/x'",
    ],
    ['analyze t', 'reindex table t', 'cluster t', 'alter database d set work_mem = 1'],
  ],
  [
    'concurrently-not-alone',
    ['alter table t add a int; create index concurrently i on t (a)', 'vacuum t; select 1'],
    [
      'create index concurrently i on t (a)',
      'create index concurrently i on t (a); create index concurrently j on t (a)',
      'select 1; select 2',
    ],
    { mode: 'split', demanded: true },
  ],
  [
    'concurrently-not-alone',
    [],
    ['alter table t add a int; create index concurrently i on t (a)'],
    { mode: 'split', demanded: false },
  ],
  [
    'invalid-index-left',
    ['create index concurrently i on t (a)', 'create index concurrently if not exists i on t (a)'],
    ['drop index concurrently if exists i; create index concurrently i on t (a)', 'create index i on t (a)'],
    { mode: 'split' },
  ],
  [
    'domain-with-constraint',
    [
      'alter domain d add constraint c check (value > 0)',
      'alter domain d set not null',
      'create domain d as int check (value > 0); alter table t add a d',
    ],
    [
      'alter domain d add constraint c check (value > 0) not valid',
      'alter domain d drop not null',
      'create domain d as int check (value > 0)',
      'create domain d as int; alter domain d set not null',
      'create domain d as int; alter table t add a d',
    ],
  ],
  [
    'not-idempotent',
    [
      'create table t (a int); select 1',
      'create index i on t (a); select 1',
      'drop table t; select 1',
      'alter table t add column a int; select 1',
      "alter type e add value 'x'; select 1",
      'create view v as select 1; select 1',
    ],
    [
      'create table t (a int)',
      'create table if not exists t (a int); select 1',
      'create index concurrently i on t (a); select 1',
      'drop table if exists t; select 1',
      'alter table t add column if not exists a int; select 1',
      'create or replace view v as select 1; select 1',
      'begin; create table t (a int); commit',
    ],
    { mode: 'split' },
  ],
  [
    'unqualified-name',
    [
      'create table t (a int)',
      'drop table t',
      'select * from t',
      'create index i on t (a)',
      'create table app.t (a int references u)',
    ],
    [
      'create table app.t (a int)',
      'drop table app.t',
      'with t as (select 1) select * from t',
      'create temp table t (a int)',
      'select 1',
    ],
  ],
  [
    'identifier-too-long',
    [
      `create table ${'a'.repeat(64)} (a int)`,
      `create table t ("${'ü'.repeat(32)}" int)`,
      `alter table t add constraint "${'a b'.repeat(22)}" check (a > 0)`,
      `create table "${'\u0001\u001b\f'.repeat(22)}" (a int)`,
    ],
    [`create table ${'a'.repeat(63)} (a int)`, `select '${'a'.repeat(80)}'`, `select 1 -- ${'a'.repeat(80)}`],
  ],
  ['json-column', ['create table t (a json)', 'alter table t add a json'], ['create table t (a jsonb)']],
  [
    'small-integer-key',
    ['create table t (id serial primary key)', 'create table t (id int, primary key (id))'],
    ['create table t (id bigint primary key)', 'create table t (id int)', 'create table t (id uuid primary key)'],
  ],
  [
    'type-with-later-cost',
    ['create table t (a timestamp)', 'create table t (a char(3))', 'alter table t add a varchar(20)'],
    ['create table t (a timestamptz)', 'create table t (a text, b varchar)'],
  ],
  [
    'missing-lock-timeout',
    [
      'set lock_timeout = 0; alter table t add a int',
      "set local lock_timeout = '0s'; select 1",
      'reset lock_timeout; select 1',
      'reset all; select 1',
    ],
    ["set local lock_timeout = '5s'; select 1", 'set lock_timeout = 0', 'set local statement_timeout = 0; select 1'],
  ],
  ['missing-lock-timeout', [], ['set lock_timeout = 0; create index concurrently i on t (a)'], { mode: 'split' }],
  [
    'session-leak',
    [
      'set search_path = app',
      "select set_config('search_path', 'app', false)",
      'set role x',
      'set session authorization x',
      "select pg_catalog.set_config('a.b', '', false)",
    ],
    [
      'set local search_path = app',
      "select set_config('search_path', 'app', true)",
      'reset role',
      'set local role x',
      'set transaction isolation level serializable',
    ],
  ],
  [
    'session-leak',
    ['set role x', 'discard all'],
    ["set statement_timeout = '1h'", 'set search_path = app'],
    { mode: 'split' },
  ],
  [
    'fk-type-mismatch',
    [
      'create table a (id uuid primary key); create table b (a_id int references a)',
      'create table a (id bigint primary key); create table b (a_id text references a (id))',
      'create table a (id uuid primary key, parent bigint references a (id))',
      "create type e as enum ('x'); create table a (id e primary key); create table b (a_id text references a)",
      'create table a (x int, y uuid, primary key (x, y)); create table b (p int, q int, foreign key (p, q) references a)',
    ],
    [
      'create table a (id uuid primary key); create table b (a_id uuid references a)',
      'create table a (id bigint primary key); create table b (a_id int references a)',
      'create table a (id mytype primary key); create table b (a_id int references a)',
      'create table b (a_id int references unknown (id))',
      'create domain d as uuid; create table a (id d primary key); create table b (a_id uuid references a)',
    ],
  ],
  [
    'fk-type-differs',
    [
      'create table a (id bigint primary key); create table b (a_id int references a)',
      'create table a (id timestamptz primary key); create table b (a_id date references a)',
    ],
    [
      'create table a (id bigserial primary key); create table b (a_id bigint references a)',
      'create table a (id varchar(20) primary key); create table b (a_id text references a)',
    ],
  ],
  [
    'fk-without-index',
    ['create table b (a_id int references a)', 'alter table b add foreign key (a_id) references a'],
    [
      'create table b (a_id int references a); create index on b (a_id)',
      'create table b (a_id int primary key references a)',
      'create table b (x int, a_id int references a, unique (a_id, x))',
    ],
  ],
]

describe.each(cases)('%s', (rule, found, quiet, options) => {
  test.each(found.map((sql) => [sql]))('finds %s', (sql) => {
    expect(names(lint(sql, options))).toContain(rule)
  })
  test.each(quiet.map((sql) => [sql]))('does not find %s', (sql) => {
    expect(names(lint(sql, options))).not.toContain(rule)
  })
})

describe('what earlier files declare', () => {
  test.each<[string, LintRuleName, string, string]>([
    [
      'the type of a column',
      'fk-type-mismatch',
      'create table a (id uuid primary key)',
      'create table b (a_id int references a)',
    ],
    [
      'a type that was changed',
      'fk-type-mismatch',
      'create table a (id int primary key); alter table a alter id type uuid using null',
      'create table b (a_id int references a)',
    ],
    [
      'a table that got another name',
      'fk-type-mismatch',
      'create table x (id uuid primary key); alter table x rename to a',
      'create table b (a_id int references a)',
    ],
    [
      'another schema',
      'fk-type-mismatch',
      'create table app.a (id uuid primary key)',
      'set local search_path = app; create table b (a_id int references a)',
    ],
    [
      'a key that was added later',
      'fk-type-mismatch',
      'create table a (id uuid); alter table a add primary key (id)',
      'create table b (a_id int references a)',
    ],
    [
      'columns of both tables',
      'fk-type-mismatch',
      'create table a (id uuid primary key); create table b (a_id int)',
      'alter table b add foreign key (a_id) references a not valid',
    ],
    [
      'the table of an index',
      'drop-index-not-concurrent',
      'create table t (a int); create index i on t (a)',
      'drop index i',
    ],
    [
      'that a constraint is a foreign key',
      'drop-constraint-fk',
      'create table t (a int constraint x references u)',
      'alter table t drop constraint x; select 1',
    ],
    [
      'the type of a column that an enum value is written to',
      'enum-add-value-used-same-tx',
      'create type e as enum (); create table t (a e, b text)',
      "alter type e add value 'x'; insert into t (b, a) values ('y', 'x')",
    ],
    [
      'the same for UPDATE',
      'enum-add-value-used-same-tx',
      'create type e as enum (); create table t (a e)',
      "alter type e add value 'x'; update t set a = 'x' where a is null",
    ],
    [
      'a domain with a constraint',
      'domain-with-constraint',
      'create domain d as int check (value > 0)',
      'alter table t add a d',
    ],
  ])('%s', (_, rule, before, sql) => {
    expect(names(lint(sql, { before }))).toContain(rule)
  })

  test.each<[string, LintRuleName, string, string]>([
    [
      'a longer varchar is free',
      'alter-column-type',
      'create table t (a varchar(10))',
      'alter table t alter a type varchar(20)',
    ],
    [
      'text instead of varchar is free',
      'alter-column-type',
      'create table t (a varchar(10))',
      'alter table t alter a type text',
    ],
    [
      'more digits are free',
      'alter-column-type',
      'create table t (a numeric(10, 2))',
      'alter table t alter a type numeric(12, 2)',
    ],
    [
      'a column that is not null already',
      'set-not-null-scan',
      'create table t (a int not null)',
      'alter table t alter a set not null',
    ],
    [
      'a validated check',
      'set-not-null-scan',
      'alter table t add constraint c check (a is not null) not valid; alter table t validate constraint c',
      'alter table t alter a set not null',
    ],
    [
      'a validated check of a partition',
      'attach-partition-scan',
      'create table p (a int, check (a >= 0 and a < 10))',
      'alter table t attach partition p for values from (0) to (10)',
    ],
    [
      'a constraint that is no foreign key',
      'drop-constraint-fk',
      'create table t (a int constraint fk_x check (a > 0))',
      'alter table t drop constraint fk_x; select 1',
    ],
    [
      'a dropped table is forgotten',
      'fk-type-mismatch',
      'create table a (id uuid primary key); drop table a',
      'create table b (a_id int references a)',
    ],
    [
      'a table of the same name elsewhere',
      'fk-type-mismatch',
      'create table app.a (id uuid primary key)',
      'create table b (a_id int references a)',
    ],
    [
      'an index of an earlier file',
      'fk-without-index',
      'create table b (a_id int); create index on b (a_id)',
      'alter table b add foreign key (a_id) references a not valid',
    ],
  ])('%s', (_, rule, before, sql) => {
    expect(names(lint(sql, { before }))).not.toContain(rule)
  })

  test.each([
    ['a shorter varchar', 'create table t (a varchar(20))', 'alter table t alter a type varchar(10)'],
    ['another scale', 'create table t (a numeric(10, 2))', 'alter table t alter a type numeric(12, 4)'],
    ['an expression', 'create table t (a varchar(10))', 'alter table t alter a type text using upper(a)'],
  ])('%s is not free', (_, before, sql) => {
    expect(names(lint(sql, { before }))).toContain('alter-column-type')
  })
})

describe('every rule', () => {
  test('is known to the configuration, and the other way round', () => {
    expect(rules.map(({ name }) => name)).toEqual([...lintRuleNames])
  })

  test('stands for a hazard', () => {
    expect(new Set(hazards.flatMap(({ rules: of }) => of))).toEqual(new Set(lintRuleNames))
  })

  test.each(rules.map((rule) => [rule.name, rule] as const))('%s finds its own example', (_, rule) => {
    expect(findingsOf(rule, parser)).not.toEqual([])
  })

  const withRewrite = rules.flatMap((rule) => {
    const [found] = findingsOf(rule, parser)
    return found?.rewrite ? [[rule.name, found.rewrite] as const] : []
  })

  test.each(withRewrite)('the safe way of %s is quiet', (_, rewrite) => {
    const files = rewrite.split(/^-- file \d+ of \d+\n/m).filter((text) => text !== '')
    const findings = lintFiles({
      parser,
      files: files.map((text, i) => ({
        name: String(i),
        path: `${i}.sql`,
        text,
        line: 1,
        mode: text.startsWith('-- pgbosun: no-transaction') ? 'split' : 'wrapped',
      })),
    })
    expect(findings.map(({ rule, message }) => `${rule}: ${message}`)).toEqual([])
  })

  test('most have a safe way', () => {
    expect(rules.map(({ name }) => name).filter((name) => !withRewrite.some(([other]) => other === name))).toEqual([
      'syntax-error',
      'psql-meta-command',
      'nested-or-uncommitted-transaction',
      'add-exclusion-constraint',
      'rename',
      'unqualified-name',
      'identifier-too-long',
      'enum-add-without-position',
      'json-column',
      'small-integer-key',
      'type-with-later-cost',
      'unused-allow',
    ])
  })
})

describe('errors by default', () => {
  test('are the ones that are certain', () => {
    expect(rules.filter(({ level }) => level === 'error').map(({ name }) => name)).toEqual([
      'syntax-error',
      'psql-meta-command',
      'concurrently-in-transaction',
      'forbidden-in-transaction',
      'nested-or-uncommitted-transaction',
      'enum-add-value-used-same-tx',
      'fk-type-mismatch',
    ])
  })
})

describe('safe ways', () => {
  const rewriteOf = (sql: string, rule: LintRuleName, options: Options = {}) =>
    lint(sql, options).find((one) => one.rule === rule)?.rewrite

  test('keep the clause that they are about, of several', () => {
    expect(
      rewriteOf(
        'alter table only "Order" add column a int, add check (a > 0 and b in (1, 2)), add constraint "Fk" foreign key (a, b) references "user" (x, y) on delete cascade',
        'fk-validates',
      ),
    ).toBe(
      '-- file 1 of 2\nalter table "Order" add constraint "Fk" foreign key (a, b) references "user" (x, y) on delete cascade not valid;\n' +
        '-- file 2 of 2\nalter table "Order" validate constraint "Fk";',
    )
  })

  test('give a constraint without a name the name that PostgreSQL would', () => {
    expect(rewriteOf('alter table app.orders add foreign key (user_id) references users', 'fk-validates')).toContain(
      'alter table app.orders add constraint orders_user_id_fkey foreign key (user_id) references users not valid;',
    )
  })

  test('keep other text of the statement as it is', () => {
    expect(rewriteOf('CREATE UNIQUE INDEX i ON t -- why\n (a) WHERE b', 'index-not-concurrent')).toBe(
      '-- pgbosun: no-transaction\nCREATE UNIQUE INDEX concurrently i ON t -- why\n (a) WHERE b;',
    )
  })

  test('keep multi-byte names apart', () => {
    expect(
      rewriteOf(
        '/* ü 🐘 */ alter table "tü" add column "spält" uuid default gen_random_uuid() /* ü */',
        'add-column-volatile-default',
      ),
    ).toContain(
      'alter table "tü" add column "spält" uuid;\nalter table "tü" alter column "spält" set default gen_random_uuid();',
    )
  })

  test('list foreign keys to drop before their table', () => {
    const before =
      'create table a (id int primary key); create table b (id int primary key, a_id int references a); create table c (b_id int constraint x references b)'
    expect(rewriteOf('drop table b', 'drop-table', { before })).toBe(
      '-- file 1 of 3\nalter table b drop constraint b_a_id_fkey;\n-- file 2 of 3\nalter table c drop constraint x;\n' +
        '-- file 3 of 3\n-- pgbosun: allow drop-table nothing has used it since the last deployment\ndrop table b;',
    )
  })

  test('use the directive of the format', () => {
    const [found] = lintFiles({
      parser,
      files: [
        {
          name: 'a',
          path: 'a',
          text: 'create index on t (a)',
          line: 1,
          mode: 'wrapped',
          outside: '-- +goose NO TRANSACTION',
        },
      ],
    })
    expect(found?.rewrite).toBe('-- +goose NO TRANSACTION\ncreate index concurrently on t (a);')
  })
})
