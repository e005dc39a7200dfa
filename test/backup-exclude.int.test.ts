import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import type { Manifest } from '../src/archive/manifest.ts'
import { client, test } from './support/backup.ts'
import { open, type Sql, uniqueName, urlOf } from './support/postgres.ts'

const manifestIn = (store: string, database: string, id: unknown) =>
  JSON.parse(readFileSync(join(store, database, String(id), 'manifest.json'), 'utf8')) as Manifest

/** Every table with how many rows it has. */
async function rowsIn(sql: Sql): Promise<Record<string, number>> {
  const tables = await sql.unsafe<{ name: string }[]>(
    `select format('%I.%I', nspname, relname) as name from pg_class c join pg_namespace n on n.oid = relnamespace
      where relkind in ('r', 'm') and nspname !~ '^pg_' and nspname not in ('information_schema', 'pgbosun') order by 1`,
  )
  const counts: Record<string, number> = {}
  for (const { name } of tables)
    counts[name] = Number((await sql.unsafe(`select count(*) as count from ${name}`))[0]!.count)
  return counts
}

const nasty = `
  create table kept (a int, id serial); insert into kept values (1), (2); select setval('kept_id_seq', 7);
  create table "Kept" (a int); insert into "Kept" values (1);
  create table "kept.a" (a int); insert into "kept.a" values (1);
  create table "a*b" (a int); insert into "a*b" values (1);
  create table "aXb" (a int); insert into "aXb" values (1);
  create table "-x $1 ""q""" (a serial); insert into "-x $1 ""q""" values (1);
  create table "größe" (a int); insert into "größe" values (1);
  create table "größer" (a int); insert into "größer" values (1);
  create table log (a int) partition by range (a);
  create table log_1 partition of log for values from (0) to (10);
  create schema "Part.s"; create table "Part.s"."ten+" partition of log for values from (10) to (20);
  insert into log values (1), (11);
  create table base (a int); create table heir () inherits (base); insert into base values (1); insert into heir values (2);
  create table events (a int); insert into events values (1), (2), (3);
  create materialized view totals as select count(*) from events;
  create view latest as select max(a) from events;
  create schema tmp_1; create table tmp_1.t (id serial primary key, e int); insert into tmp_1.t (e) values (1);
  create type tmp_1.mood as enum ('sad'); create function tmp_1.f() returns tmp_1.t language sql as 'select * from tmp_1.t';
  create extension pg_trgm; create table "of extension" (a int); alter extension pg_trgm add table "of extension";
  create schema "Tmp_2"; create table "Tmp_2".t (a int); insert into "Tmp_2".t values (1);
`

describe.skipIf(!client)('backup.exclude', () => {
  test('leaves out exactly what it names, whatever the names, and the rest is restored and compared', {
    timeout: 180_000,
  }, async ({ configured, database, sql, store }) => {
    await sql.unsafe(nasty)
    const exclude = {
      schemas: ['tmp_*'],
      tables: ['Kept', '"kept.a"', '"a*b"', '"-x $1 ""q"""', 'größ?', 'log', 'base', 'nosuch*', 'of*'],
      tableData: ['events', '"Tmp_2".t', '*vents', 'k*_seq*'],
    }
    const pgbosun = await configured({ backup: { exclude } })
    const { code, json, stderr } = await pgbosun.runJson('backup')
    expect(code, stderr).toBe(0)
    expect(json.warnings).toEqual(
      ['tables: nosuch*', 'tables: of*', 'tableData: k*_seq*']
        .map((entry) => entry.split(': '))
        .map(([key, entry]) => `${database}: ${entry} in backup.exclude.${key} matches nothing`),
    )
    const manifest = manifestIn(store, database, json.id)
    expect(manifest.left_out).toEqual({
      schemas: ['tmp_1'],
      tables: [
        ...['"Part.s"."ten+"', 'public."-x $1 ""q"""', 'public."Kept"', 'public."a*b"', 'public.base'],
        ...['public."größe"', 'public.heir', 'public."kept.a"', 'public.log', 'public.log_1'],
      ],
      table_data: ['"Tmp_2".t', 'public.events'],
      patterns: { schemas: exclude.schemas, tables: exclude.tables, table_data: exclude.tableData },
    })
    expect(manifest.rows).toEqual({ 'public."aXb"': 1, 'public."größer"': 1, 'public.kept': 2 })

    const into = uniqueName('whole')
    const restored = await pgbosun.runJson('restore', '--into', into, '--yes')
    expect(restored.code, restored.stderr).toBe(0)
    expect([restored.json.rows_compared, restored.json.differences]).toEqual([4, []])
    expect(restored.json.warnings).toEqual([
      `backup ${json.id} is partial: backup.exclude left out 1 schema (tmp_1), 10 tables (${manifest.left_out!.tables.slice(0, 3).join(', ')} and 7 more), the rows of 2 tables ("Tmp_2".t, public.events)`,
      ...manifest.warnings.map((warning) => `when backup ${json.id} was made: ${warning}`),
    ])
    expect(manifest.warnings).toHaveLength(3)
    const copy = open(into)
    // no sequence of a table that is not there, and nothing that forgot what number comes next
    expect(await copy`select last_value from kept_id_seq`).toEqual([{ last_value: '7' }])
    expect(await copy`select relname from pg_class where relkind = 'S'`).toEqual([{ relname: 'kept_id_seq' }])
    expect(await rowsIn(copy)).toEqual({
      ...{ '"Tmp_2".t': 0, 'public."aXb"': 1, 'public."größer"': 1, 'public.events': 0, 'public.kept': 2 },
      'public.totals': 1,
    })
    await copy.end()
  })

  test('makes a partial backup, which replaces no database, and says so wherever it is used', {
    timeout: 180_000,
  }, async ({ configured, database, sql, dir, store }) => {
    await sql.unsafe('create table kept (a int); create table big (a int); insert into big values (1)')
    const whole = await (await configured()).runJson('backup')
    const pgbosun = await configured({ backup: { exclude: { tables: ['big'] } } })
    const { json } = await pgbosun.runJson('backup')
    const [swapped, inPlace] = [
      await pgbosun.runJson('restore', '--replace', database),
      await pgbosun.runJson('restore', '--replace', database, '--in-place'),
    ]
    for (const { code, json: said } of [swapped, inPlace]) {
      expect([code, said.touched, said.error?.kind]).toEqual([2, false, 'usage'])
      expect(said.error?.message).toContain(`backup ${json.id} left something out`)
      expect(said.error?.hint).toContain(`restore ${whole.json.id}, the newest whole backup`)
    }
    const list = await pgbosun.run('backup', 'list')
    expect(list.stdout.split('\n').map((line) => line.includes('partial'))).toEqual([false, true, false])
    const fetched = await pgbosun.runJson('backup', 'fetch', 'latest', '--to', join(dir, 'x.sql'), '--as', 'sql')
    expect([fetched.code, fetched.json.warnings]).toEqual([
      0,
      [`backup ${json.id} is partial: backup.exclude left out 1 table (public.big)`],
    ])
    expect(readFileSync(join(dir, 'x.sql'), 'utf8')).not.toContain('big')

    // what a restore is about to replace is kept whole
    const back = await pgbosun.runJson('restore', String(whole.json.id), '--replace', database, '--in-place')
    expect(back.code, back.stderr).toBe(0)
    const before = manifestIn(store, database, back.json.backup_before)
    expect([before.left_out, before.rows['public.big']]).toEqual([undefined, 1])
    expect(readdirSync(join(store, database)).filter((id) => /^\d{8}T/.test(id))).toHaveLength(3)
  })

  test('is refused where the rest could not be restored without it', { timeout: 120_000 }, async ({
    configured,
    sql,
  }) => {
    await sql.unsafe(`
      create table parent (id int primary key); create table child (id int primary key, parent int constraint to_parent references parent);
      insert into parent values (1); insert into child values (1, 1);
      create view families as select id from parent; create view old as select 1 as one; create view older as select * from old;
      create schema types; create domain types.name as text; create table named (name types.name);
      create schema ext; create extension if not exists pg_trgm schema ext;
      create table log (a int) partition by range (a); create schema old_logs; create table old_logs.log_1 (a int);
      create schema fine; create table fine.alone (id int primary key, up int references fine.alone, p int references public.parent);
      create schema ranges; create table ranges."all" (a int) partition by range (a); create table first partition of ranges."all" for values from (0) to (9);
      create table h (id int primary key); create table g (h int references h) partition by range (h); create table g1 partition of g for values from (0) to (9);
      create temp view mine as select * from parent;
      create table tolerant (p int); alter table tolerant add constraint loose foreign key (p) references child not valid`)
    const refused = async (exclude: object) => {
      const { code, json } = await (await configured({ backup: { exclude } })).runJson('backup')
      expect([code, json.error?.hint ?? '']).toEqual([60, expect.stringContaining('tableData')])
      return String(json.error?.message).split('\n').slice(1)
    }
    expect(await refused({ tables: ['parent'] })).toEqual([
      '  constraint alone_p_fkey on table fine.alone needs table public.parent',
      '  constraint to_parent on table public.child needs table public.parent',
      '  view public.families needs table public.parent',
    ])
    expect(await refused({ tables: ['old'] })).toEqual(['  view public.older needs view public.old'])
    expect(await refused({ schemas: ['types', 'ext'] })).toEqual([
      expect.stringContaining('extension pg_trgm needs schema ext'),
      expect.stringMatching(/table public\.named needs type types\.name/),
    ])
    expect(await refused({ schemas: ['ranges'] })).toEqual(['  table public.first needs table ranges."all"'])
    expect(await refused({ tableData: ['parent'] })).toEqual([
      '  the rows of table fine.alone need those of table public.parent: alone_p_fkey',
      '  the rows of table public.child need those of table public.parent: to_parent',
    ])

    for (const exclude of [
      { schemas: ['fine', 'old_logs'], tables: ['old', 'older', 'child', 'tolerant', 'g', 'h'], tableData: ['log'] },
      { tableData: ['parent', 'child', 'fine.*'] },
    ]) {
      const pgbosun = await configured({ backup: { exclude } })
      const { code, stderr } = await pgbosun.run('backup')
      expect(code, `${JSON.stringify(exclude)} ${stderr}`).toBe(0)
      const restored = await pgbosun.run('restore', '--into', uniqueName('part'), '--yes')
      expect(restored.code, `${JSON.stringify(exclude)} ${restored.stderr}`).toBe(0)
    }
  })

  test('says what it leaves out of a schema that an extension has made: tables of others, and the rows of its own', {
    timeout: 60_000,
  }, async ({ configured, database, sql, store, dir }) => {
    await sql.unsafe(`
      create extension pg_trgm; create schema jobs; alter extension pg_trgm add schema jobs;
      create table jobs.job (a int); insert into jobs.job values (1); alter extension pg_trgm add table jobs.job;
      update pg_extension set extconfig = array['jobs.job'::regclass::oid], extcondition = array[''] where extname = 'pg_trgm';
      create table jobs.mine (a int); insert into jobs.mine values (1); create table kept (a int)`)
    const pgbosun = await configured({ backup: { exclude: { schemas: ['jobs'] } } })
    const { code, json, stderr } = await pgbosun.runJson('backup')
    expect(code, stderr).toBe(0)
    const { left_out, rows } = manifestIn(store, database, json.id)
    expect([left_out, rows, json.warnings]).toMatchObject([
      { schemas: ['jobs'], tables: [], table_data: ['jobs.job'] },
      { 'public.kept': 0 },
      [],
    ])
    expect(Object.keys(rows)).toEqual(['public.kept'])
    const file = join(dir, 'x.sql')
    await pgbosun.run('backup', 'fetch', 'latest', '--to', file, '--as', 'sql')
    expect(readFileSync(file, 'utf8')).not.toMatch(/COPY jobs|jobs\.mine/)

    await sql.unsafe('create table needing () inherits (jobs.mine)')
    const refused = await pgbosun.runJson('backup')
    expect([refused.code, refused.json.error?.message]).toEqual([
      60,
      expect.stringContaining('table public.needing needs'),
    ])
  })

  test('needs no right to read what it leaves out', async ({ configured, database, sql }) => {
    const user = { name: uniqueName('reader'), password: 'secret-of-reader' }
    await sql.unsafe(`
      create role ${user.name} login password '${user.password}';
      create table open (a int); grant select on open to ${user.name};
      create table closed (a serial); create schema shut; create table shut.t (a int)`)
    const run = async (exclude: object) =>
      (await configured({ url: urlOf(database, user), backup: { exclude } })).run('backup')
    expect((await run({ schemas: ['shut'] })).code).toBe(60)
    const { code, stderr } = await run({ schemas: ['shut'], tables: ['closed'] })
    expect(code, stderr).toBe(0)
  })

  test('finds names in a database of another encoding, too', { timeout: 120_000 }, async ({ configured }) => {
    const name = uniqueName('latin')
    const admin = open('postgres')
    await admin.unsafe(`create database ${name} template template0 encoding 'LATIN1' lc_collate 'C' lc_ctype 'C'`)
    await admin.end()
    const latin = open(name)
    await latin.unsafe('create table "größe" (a int); create table "straße" (a text)')
    await latin.unsafe(`insert into "straße" values ('ß')`)
    await latin.end()
    const pgbosun = await configured({ url: urlOf(name), backup: { exclude: { tables: ['größe'] } } })
    expect((await pgbosun.run('backup')).code).toBe(0)
    const into = uniqueName('latin_copy')
    const { code, stderr } = await pgbosun.run('restore', '--into', into, '--yes')
    expect(code, stderr).toBe(0)
    const copy = open(into)
    expect(await rowsIn(copy)).toEqual({ 'public."straße"': 1 })
    expect(await copy`select a from "straße"`).toEqual([{ a: 'ß' }])
    await copy.end()
  })

  test('a name that is none is refused with its path', async ({ configured }) => {
    const pgbosun = await configured({ backup: { exclude: { schemas: ['a.b'], tables: ['a.b.c'] } } })
    const { code, stderr } = await pgbosun.run('backup')
    expect(code).toBe(2)
    expect(stderr).toContain('backup.exclude.schemas')
    expect(stderr).toContain('backup.exclude.tables')
  })
})
