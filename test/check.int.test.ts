import { describe, expect } from 'vitest'
import { compare, wantedFrom } from '../src/check/conditions.ts'
import { readSnapshot } from '../src/check/snapshot.ts'
import type { CheckConfig } from '../src/config/schema.ts'
import { type Sql, test } from './support/postgres.ts'

async function check(sql: Sql, config: Partial<CheckConfig>) {
  const wanted = wantedFrom({ tables: [], indexes: [], columns: {}, foreignKeys: [], ...config })
  const { errors, warnings } = compare(wanted, await readSnapshot(sql, wanted))
  return { errors, warnings }
}

const good = { errors: [], warnings: [] }

describe('check', () => {
  test('finds what was broken by hand, and nothing before that and after the repair', async ({ sql }) => {
    await sql.unsafe(`
      create schema app;
      create table users (id bigint primary key, email text);
      create unique index idx_users_email on users (email);
      create table app.games (id int, a int, b int, user_id bigint constraint fk references users on delete cascade);
      create table pairs (c int, d int, primary key (c, d));
      alter table app.games add constraint fk2 foreign key (b, a) references pairs (d, c);
      create view seen as select id from users`)
    const config = {
      tables: ['users', 'app.games'],
      indexes: ['idx_users_email', 'users_pkey'],
      columns: { users: { id: 'int8', email: 'text' }, seen: { id: 'bigint' } },
      foreignKeys: ['app.games.user_id -> users.id', 'app.games.(a, b) -> pairs.(c, d)'],
    }
    expect(await check(sql, config)).toEqual(good)

    await sql.unsafe(
      `drop index idx_users_email; alter table app.games drop constraint fk; alter table users drop email`,
    )
    expect((await check(sql, config)).errors).toEqual([
      'column users.email is missing',
      'index idx_users_email is missing',
      'foreign key app.games.user_id -> users.id is missing',
    ])
    await sql.unsafe(`alter table users add email text; create index idx_users_email on users (email);
      alter table app.games add constraint fk foreign key (user_id) references users`)
    expect(await check(sql, config)).toEqual(good)
  })

  test('accepts every spelling of a type that the server accepts', async ({ sql }) => {
    const spellings = [
      ...[
        'int',
        'int2',
        'int4',
        'int8',
        'integer',
        'serial',
        'bigserial',
        'smallserial',
        'float',
        'float4',
        'float8',
        'real',
      ],
      ...[
        'decimal',
        'dec(5)',
        'numeric(10, 2)',
        'bool',
        'varchar',
        'varchar(3)',
        'char varying(3)',
        'char',
        'char(7)',
        'bpchar',
      ],
      ...[
        'bit',
        'bit(3)',
        'varbit',
        'varbit(3)',
        'timestamp',
        'timestamp(3)',
        'timestamptz',
        'TIMESTAMPTZ (3)',
        'time',
        'timetz',
      ],
      ...[
        'time(2) with time zone',
        'timestamp without time zone',
        'date',
        'interval',
        'uuid',
        'json',
        'jsonb',
        'bytea',
        'inet',
        'text[]',
      ],
      ...[
        'int[]',
        'varchar(3)[]',
        'timestamptz[]',
        'numeric(4)[]',
        'int array',
        'text [3]',
        '"char"',
        'name',
        'public.mood',
        'app."Odd Mood"',
      ],
    ]
    await sql.unsafe(`create schema app; create type mood as enum (); create type app."Odd Mood" as enum ()`)
    const columns = Object.fromEntries(spellings.map((type, i) => [`c${i}`, type]))
    await sql.unsafe(`create table t (${Object.entries(columns).map(([name, type]) => `${name} ${type}`)})`)
    expect(await check(sql, { columns: { t: columns } })).toEqual(good)
  })

  test('reports an invalid index and an unvalidated constraint as errors only when they are declared', async ({
    sql,
  }) => {
    await sql.unsafe(`create table a (id int primary key); create table b (a_id int, n int); insert into b values (1, 1), (1, 1);
      alter table b add constraint fk foreign key (a_id) references a not valid`)
    await expect(sql`create unique index concurrently idx on b (n)`).rejects.toThrow('could not create unique index')
    expect(await check(sql, {})).toEqual({
      errors: [],
      warnings: [
        'index public.idx of b is invalid: drop it and create it again',
        'constraint fk of public.b is not validated',
      ],
    })
    expect(await check(sql, { indexes: ['idx'], foreignKeys: ['b.a_id -> a.id'] })).toEqual({
      errors: ['index idx is invalid', 'foreign key b.a_id -> a.id is not validated'],
      warnings: [],
    })
  })

  test('is not confused by names with quotes, dots and spaces', async ({ sql }) => {
    await sql.unsafe(`create schema "it's"; create table "it's"."a.""b" ("c\\d" text)`)
    const table = `"it's"."a.""b"`
    expect(await check(sql, { tables: [table], columns: { [table]: { 'c\\d': 'text' } } })).toEqual(good)
    expect((await check(sql, { tables: [`"it's".a`] })).errors).toEqual([`table "it's".a is missing`])
  })
})
