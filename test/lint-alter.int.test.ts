import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { lintFiles } from '../src/lint/lint.ts'
import { loadParser } from '../src/lint/parse.ts'
import type { Finding, LintFile } from '../src/lint/types.ts'
import { full, randomFrom } from './support/chaos.ts'
import { openNew, type Sql } from './support/postgres.ts'

const parser = await loadParser()

const setUp = `
  create type mood as enum ('sad', 'glad');
  create type colour as enum ('red');
  create domain number as int;
  create table k_int (id int primary key, other uuid unique);
  create table k_uuid (id uuid primary key);
  create table k_text (id text primary key);
  create table k_mood (id mood primary key);
  create table t_int (id int primary key, a int, b uuid, c mood, d text, e bigint);
  create table t_uuid (id uuid primary key, a uuid not null, b int references k_int, c text, d mood default 'sad', e date);
  create table t_text (id text, a text, b number, c mood, d colour, e numeric, constraint own_key primary key (id));
  create table t_none (id int, a varchar(10), b text, c colour, d mood, e uuid)`

let sql: Sql

beforeAll(async () => {
  sql = await openNew('lint_alter')
  await sql.unsafe(setUp)
})

afterAll(() => sql.end({ timeout: 1 }))

const fileOf = (name: string, text: string): LintFile => ({ name, path: name, text, line: 1, mode: 'wrapped' })

/** What lint says is certain to fail in a file after the set-up. */
const errorsIn = (text: string): Finding[] =>
  lintFiles({
    parser,
    files: [fileOf('1_setup.sql', setUp), fileOf('2.sql', text)],
    isLinted: ({ name }) => name === '2.sql',
  }).filter(({ level }) => level === 'error')

/** What the server says to it in a transaction, which is rolled back: an SQLSTATE, or that it is fine. */
async function answerTo(text: string): Promise<string> {
  const answer = await sql.unsafe(`begin;\n${text}`).then(
    () => 'fine',
    ({ code }: { code?: string }) => code ?? 'not an error of the server',
  )
  await sql.unsafe('rollback')
  return answer
}

describe('one ALTER TABLE is judged in the passes of PostgreSQL', () => {
  const toUuid = 'alter column a type uuid using null'
  test.each([
    [`alter table t_int add foreign key (a) references k_uuid, ${toUuid}`, 'fine'],
    [`alter table t_int ${toUuid}, add foreign key (a) references k_uuid`, 'fine'],
    [`alter table t_int ${toUuid}, add foreign key (a) references k_int`, '42804'],
    ['alter table t_int add foreign key (a) references k_uuid, drop column a, add column a uuid', 'fine'],
    ['alter table t_int add column if not exists b int references k_int', 'fine'],
    ['alter table t_int drop column b, add column if not exists b int references k_uuid', '42804'],
    ['alter table t_int drop constraint t_int_pkey, add primary key (b), add column up uuid references t_int', 'fine'],
    ['alter table t_text drop constraint own_key, add primary key (b), add foreign key (e) references t_text', '42804'],
    ['alter table if exists nowhere add column a int references k_uuid', 'fine'],
    ['create table if not exists t_int (a int references k_uuid)', 'fine'],
    ['alter type mood rename to temper; create table u (a temper references k_mood)', 'fine'],
    ['set search_path = public; create table u (a public.mood references k_mood)', 'fine'],
    [`alter type mood add value 'calm'; alter table t_uuid alter d set default 'calm', alter d type text`, 'fine'],
    [`alter type mood add value 'calm'; alter table t_uuid alter d set default 'calm'`, '55P04'],
    [`alter type mood add value if not exists 'glad'; alter table t_uuid alter d set default 'glad'`, 'fine'],
    [`alter type mood add value 'calm'; alter table t_uuid add if not exists d mood default 'calm'`, 'fine'],
  ])('%s: %s', async (text, code) => {
    expect(await answerTo(text)).toBe(code)
    expect(errorsIn(text).map(({ message }) => message)).toHaveLength(code === 'fine' ? 0 : 1)
  })
})

/** A random file: mostly one ALTER TABLE of several commands. */
function randomFile(random: () => number): string {
  const one = <T>(...items: T[]): T => items[Math.floor(random() * items.length)]!
  const maybe = (text: string, chance = 0.5) => (random() < chance ? text : '')
  const type = () => one('int', 'bigint', 'uuid', 'text', 'varchar(20)', 'mood', 'colour', 'number', 'date', 'numeric')
  const column = () => one('id', 'a', 'b', 'c', 'd', 'e', 'f', 'g')
  const table = one('t_int', 't_uuid', 't_text', 't_none')
  const target = () => one('k_int', 'k_uuid', 'k_text', 'k_mood', 'k_int (other)', table, `${table} (id)`)
  const command = () =>
    one(
      () => `alter column ${column()} type ${one('int', 'uuid', 'text', 'mood')} using null`,
      () => `alter column ${column()} drop default, alter column ${column()} type ${type()} using null`,
      () =>
        `add column ${maybe('if not exists ')}${column()} ${type()}${maybe(` references ${target()}`)}${maybe(one(" default 'calm'", " default 'sad'", ' not null', ' default null', ' unique'), 0.4)}`,
      () => `add column ${one('f', 'g')} ${type()}${maybe(` references ${target()}`)}`,
      () => `drop column ${maybe('if exists ')}${column()}${maybe(' cascade')}`,
      () =>
        `add ${maybe(`constraint x${Math.floor(random() * 9)} `)}foreign key (${column()}) references ${target()}${maybe(' not valid', 0.2)}`,
      () => `add foreign key (${column()}) references ${target()}`,
      () => `add primary key (${column()})`,
      () =>
        `drop constraint ${maybe('if exists ')}${one('t_int_pkey', 't_uuid_pkey', 'own_key', 't_uuid_b_fkey')}${maybe(' cascade')}`,
      () => `alter column ${column()} ${one('set', 'drop')} not null`,
      () => `alter column ${column()} set default ${one("'calm'", "'sad'", 'null')}`,
      () => `add check (${column()} is not null)${maybe(' not valid')}`,
      () => `add unique (${column()})`,
    )()
  const commands = Array.from({ length: 1 + Math.floor(random() * 4) }, command)
  return [
    maybe(`alter type mood add value ${maybe('if not exists ')}${one("'calm'", "'sad'")}`, 0.2),
    maybe(`alter table ${table} rename column ${column()} to ${column()}`, 0.1),
    maybe(`alter type ${one('mood rename to temper', 'colour rename to mood2')}`, 0.05),
    maybe(`create table ${maybe('if not exists ')}${one('t_int', 'u')} (id ${type()} references ${target()})`, 0.1),
    `alter table ${maybe('if exists ')}${table}\n  ${commands.join(',\n  ')}`,
    maybe(`update ${table} set ${column()} = ${one("'calm'", "'sad'")}`, 0.1),
  ]
    .filter((text) => text !== '')
    .join(';\n')
}

const cases = full ? 2_000 : 300

test(`of ${cases} random files none is called certain to fail that the server takes`, {
  timeout: 300_000,
}, async () => {
  const seed = full ? Date.now() % 2 ** 31 : 18
  const random = randomFrom(seed)
  const wrong: string[] = []
  const counts = { fine: 0, refused: 0, foreseen: 0 }
  for (let i = 0; i < cases; i++) {
    const text = randomFile(random)
    const answer = await answerTo(text)
    const errors = errorsIn(text)
    if (answer === 'fine') counts.fine++
    else counts.refused++
    if (answer !== 'fine' && errors.length > 0) counts.foreseen++
    if (answer === 'fine' && errors.length > 0) wrong.push(`${text}\n-- ${errors[0]?.message}`)
  }
  expect(wrong, `seed ${seed}`).toEqual([])
  expect(counts.fine, JSON.stringify(counts)).toBeGreaterThan(cases / 20)
  expect(counts.foreseen, JSON.stringify(counts)).toBeGreaterThan(cases / 20)
})
