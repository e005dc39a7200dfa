import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { silentLog } from '../src/log.ts'
import { openSession } from '../src/postgres/connect.ts'
import { failedPiece, renderPieceError, sendPieces } from '../src/postgres/send.ts'
import type { ServerError } from '../src/postgres/server-error.ts'
import type { Session } from '../src/postgres/session.ts'
import { inTransaction } from '../src/postgres/transaction.ts'
import { type Piece, piecesOf } from '../src/sql/pieces.ts'
import { placeOf } from '../src/sql/place.ts'
import { scan } from '../src/sql/scan.ts'
import { client, connectionTo } from './support/backup.ts'
import { test as base, open, type Sql, uniqueName, urlOf } from './support/postgres.ts'

const pgDump = (...args: string[]) =>
  execFileSync(join(client?.dir ?? '', 'pg_dump'), args, { encoding: 'utf8', maxBuffer: 1e9 })

/** A plain dump; with `key`, the same for the same database wherever this release of pg_dump can do that. */
function dumpOf(database: string, key?: string, ...args: string[]): string {
  const keyed = key !== undefined && pgDump('--help').includes('--restrict-key')
  return pgDump(...(keyed ? [`--restrict-key=${key}`] : []), `--dbname=${urlOf(database)}`, ...args)
}

const shop = String.raw`
  create schema "odd ""name;";
  create type mood as enum ('it''s \ ok', 'sad;');
  create table customers (id bigint generated always as identity primary key, name text not null, mood mood, note text);
  create table "odd ""name;"."from" (id int primary key, customer bigint references customers, data bytea, "a;b" text[]);
  create table empty (id int default 7, t timestamptz);
  create function f(text) returns text language plpgsql as $f$ begin /* copy t from stdin; */ return $$\.$$ || 'a;' || $1; end $f$;
  create function g() returns trigger language plpgsql as $$ begin return new; end $$;
  create trigger tr before insert on customers for each row execute function g();
  create view v as select f(name), E'\\;' as "\" from customers;
  comment on table customers is E'copy customers from stdin;\n1\n\\.\n';
  insert into customers (name, mood, note) values
    (E'tab\there', 'sad;', null), (E'new\nline\rreturn', null, ''), (E'\\.', 'it''s \ ok', E'\\N'), ('grün € 😀 日本', null, E'\\restrict x'),
    (E'\b\f\v', null, E'\\\\'), ('"; $$ -- /*', null, 'x');
  insert into customers (name) select 'row ' || i from generate_series(1, 5000) i;
  insert into "odd ""name;"."from" values (1, 1, '\x00ff5c2e', array['a"b', null, '\.']), (2, null, '', '{}');`

const test = base.extend<{ source: string; session: Session }>({
  source: async ({ sql }, use) => {
    await sql.unsafe(shop)
    const [row] = await sql<{ name: string }[]>`select current_database() as name`
    await use(row?.name ?? '')
  },
  // biome-ignore lint/correctness/noEmptyPattern: vitest demands the destructuring
  session: async ({}, use) => {
    const name = uniqueName('loaded')
    const admin = open('postgres')
    await admin.unsafe(`create database ${name}`)
    await admin.end()
    const session = await openSession(connectionTo(urlOf(name)), {
      applicationName: 'test',
      log: silentLog,
      ownPath: true,
    })
    await use(session)
    await session.end()
  },
})

const databaseOf = async ({ sql }: Session) =>
  (await sql.unsafe<{ name: string }[]>('select current_database() as name'))[0]?.name ?? ''

const tablesOf = (sql: Sql) =>
  sql.unsafe("select relname from pg_catalog.pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace")

const load = ({ sql }: Session, text: string, pieces = piecesOf(text)) =>
  inTransaction(sql, (tx) => sendPieces(tx, text, pieces))

/** Loads a text that must fail: the error, the index of its piece, and what is shown of it. */
async function failureOf(session: Session, text: string) {
  const pieces = piecesOf(text)
  const error = await load(session, text, pieces).then(
    () => undefined,
    (cause: ServerError) => cause,
  )
  if (!error) throw new Error('it did not fail')
  const index = failedPiece(error) ?? Number.NaN
  return { error, index, rendered: renderPieceError(text, pieces[index] as Piece, error, { file: '001.sql' }) }
}

const lineOf = (text: string, what: string) => placeOf(text, Array.from(text.slice(0, text.indexOf(what))).length + 1)

describe.skipIf(!client)('a plain file of pg_dump', () => {
  test('is loaded in one transaction, and dumped again it is the same byte for byte', async ({ source, session }) => {
    const text = dumpOf(source)
    const { backslash, unterminated, restricts, copies } = scan(text)
    expect([backslash, unterminated, copies.length]).toEqual([undefined, undefined, 3])
    expect(restricts).toHaveLength(text.includes('\n\\restrict ') ? 2 : 0)

    const seen: string[] = []
    await inTransaction(session.sql, (tx) =>
      sendPieces(tx, text, piecesOf(text), { onPiece: (index, { kind }) => seen.push(`${index} ${kind}`) }),
    )
    expect(seen).toEqual(['0 sql', '1 copy', '2 copy', '3 copy', '4 sql'])
    expect(dumpOf(await databaseOf(session), 'same')).toBe(dumpOf(source, 'same'))
  })

  test('leaves nothing when a row in its middle is refused, and the line is that of the file', async ({
    source,
    session,
  }) => {
    const text = dumpOf(source).replace(/^(\d+)\trow 2500\t/m, 'geheim\trow 2500\t')
    const { error, index, rendered } = await failureOf(session, text)
    expect(error).toMatchObject({ code: '22P02', where: expect.stringContaining('COPY customers, line 2506') })
    expect(index).toBe(2)
    expect(rendered).toEqual({ sqlstate: '22P02', file: '001.sql', line: lineOf(text, 'geheim').line })
    expect(await tablesOf(session.sql)).toEqual([])
  })

  test('tells line and column of a statement behind the data', async ({ source, session }) => {
    const text = dumpOf(source).replace('PRIMARY KEY (id)', 'PRIMARY KEI (id)')
    const { index, rendered } = await failureOf(session, text)
    expect(index).toBe(4)
    expect(rendered).toMatchObject({ sqlstate: '42601', ...lineOf(text, 'KEI (id)') })
    expect(rendered.excerpt).toContain('PRIMARY KEI (id)')
    expect(await tablesOf(session.sql)).toEqual([])
  })

  test('holds the same rows when its lines end as on Windows', async ({ source, session }) => {
    await load(session, dumpOf(source).replaceAll('\n', '\r\n'))
    const rows = (database: string) => dumpOf(database, 'same', '--data-only')
    expect(rows(await databaseOf(session))).toBe(rows(source))
  })
})

describe('a file with data', () => {
  const head = '-- ünïcödé 😀\ncreate table p (id int primary key);\ncreate table t (a int references p, b text);\n'

  test('with lines that end as on Windows has no carriage return in the rows', async ({ session }) => {
    const text = `${head}copy t (b) from stdin;\nx\n€\n\\.\ncopy t (b) from stdin (format csv);\n"y"\n\\.\nselect 1;\n`
    await load(session, text.replaceAll('\n', '\r\n'))
    expect(await session.sql.unsafe('select b from t order by b')).toEqual([{ b: 'x' }, { b: 'y' }, { b: '€' }])
  })

  test.for([
    ['of the last row', 'copy t from stdin;\n\\N\tx\n\\N\n\\.\n', '22P04', { line: 6 }],
    ['of CSV', 'copy t from stdin csv header;\na,b\n,"x\ny"\nq,y\n\\.\n', '22P02', { line: 8 }],
    ['of all rows together', 'select 1;\n  copy t from stdin;\n1\tx\n\\.\n', '23503', { line: 5, column: 3 }],
    ['of the COPY itself', 'copy t (a, nope) from stdin;\n1\tx\n\\.\n', '42703', { line: 4, column: 1 }],
    ['of the syntax', 'copy t from stdin whit (x);\n\\.\n', '42601', { line: 4, column: 19 }],
    ['behind the data', 'copy t from stdin;\n\\N\t😀\n\\.\n\nselect 😀 fron;\n', '42703', { line: 8, column: 8 }],
  ] as const)('tells the place %s', async ([, rest, code, place], { session }) => {
    const { rendered } = await failureOf(session, head + rest)
    expect(rendered).toMatchObject({ sqlstate: code, file: '001.sql', ...place })
    expect('column' in rendered).toBe('column' in place)
    expect(await tablesOf(session.sql)).toEqual([])
  })

  test('tells the place of a statement that failed without a position', async ({ session }) => {
    const text = `${head}copy t from stdin;\n\\.\nselect 1;\n  select 1 / 0;\n`
    const pieces = piecesOf(text)
    const error: ServerError = await load(session, text, pieces).catch((cause) => cause)
    const rendered = renderPieceError(text, pieces[2] as Piece, error, { statement: 1 })
    expect(rendered).toMatchObject({ sqlstate: '22012', line: 7, column: 3 })
  })

  test('sending stops where onPiece says so', async ({ session }) => {
    const text = `${head}copy t from stdin;\n\\.\n`
    const stop = new Error('stop')
    const error: unknown = await inTransaction(session.sql, (tx) =>
      sendPieces(tx, text, piecesOf(text), {
        onPiece: (index) => {
          if (index === 1) throw stop
        },
      }),
    ).catch((cause: unknown) => cause)
    expect([error, failedPiece(error)]).toEqual([stop, undefined])
    expect(await tablesOf(session.sql)).toEqual([])
  })
})
