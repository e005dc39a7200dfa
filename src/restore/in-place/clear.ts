// pure
import { quoteLiteral } from '../../sql/quote.ts'

/** Objects that initdb made have smaller numbers. */
const first = 16384

const loop = (rows: string, statement: string) =>
  `do $$ declare r record; begin for r in ${rows} loop execute ${statement}; end loop; end $$`

const notOfExtension = (catalog: string, oid: string) =>
  `not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.${catalog}'::regclass and d.objid = ${oid} and d.deptype = 'e')`

/**
 * Statements that empty a database, in its own transaction: everything that was made in it goes, whoever owns it, and schema public
 * becomes what it is in a new database. None of them runs code of the application: event triggers go first.
 *
 * @param keep the only schema that stays
 */
export const clearStatements = (keep: string, { serverVersion }: { serverVersion: number }): string[] => [
  loop(
    `select evtname from pg_catalog.pg_event_trigger where ${notOfExtension('pg_event_trigger', 'pg_event_trigger.oid')} order by 1`,
    `pg_catalog.format('drop event trigger %I', r.evtname)`,
  ),
  loop(
    'select pubname from pg_catalog.pg_publication order by 1',
    `pg_catalog.format('drop publication %I', r.pubname)`,
  ),
  // None is enabled or has a slot: that was refused.
  loop(
    `select subname from pg_catalog.pg_subscription where subdbid = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()) order by 1`,
    `pg_catalog.format('drop subscription %I', r.subname)`,
  ),
  loop(
    `select extname from pg_catalog.pg_extension where oid >= ${first} order by 1`,
    `pg_catalog.format('drop extension if exists %I cascade', r.extname)`,
  ),
  // All at once: what one schema has of another's is no obstacle, and no object is looked at twice.
  `do $$ declare names text; begin
     select pg_catalog.string_agg(pg_catalog.quote_ident(nspname), ', ' order by nspname) into names from pg_catalog.pg_namespace
      where oid >= ${first} and nspname !~ '^pg_' and nspname not in ('public', ${quoteLiteral(keep)});
     if names is not null then execute 'drop schema ' || names || ' cascade'; end if; end $$`,
  clearPublic,
  loop(
    `select fdwname from pg_catalog.pg_foreign_data_wrapper where oid >= ${first} order by 1`,
    `pg_catalog.format('drop foreign data wrapper if exists %I cascade', r.fdwname)`,
  ),
  loop(
    `select pg_catalog.format_type(c.castsource, null) as s, pg_catalog.format_type(c.casttarget, null) as t from pg_catalog.pg_cast c where c.oid >= ${first}`,
    `pg_catalog.format('drop cast (%s as %s) cascade', r.s, r.t)`,
  ),
  loop(
    `select pg_catalog.format_type(f.trftype, null) as t, l.lanname from pg_catalog.pg_transform f join pg_catalog.pg_language l on l.oid = f.trflang where f.oid >= ${first}`,
    `pg_catalog.format('drop transform if exists for %s language %I cascade', r.t, r.lanname)`,
  ),
  loop(
    `select lanname from pg_catalog.pg_language where oid >= ${first} order by 1`,
    `pg_catalog.format('drop language if exists %I cascade', r.lanname)`,
  ),
  loop(
    `select amname from pg_catalog.pg_am where oid >= ${first} order by 1`,
    `pg_catalog.format('drop access method if exists %I cascade', r.amname)`,
  ),
  `do $$ begin perform pg_catalog.lo_unlink(oid) from pg_catalog.pg_largeobject_metadata; end $$`,
  clearDefaultPrivileges,
  publicAsNew(serverVersion),
]

/** One statement for each object that is left: most of them take others along. */
const clearPublic = `do $$ declare r record; begin
  loop
    select o.type, o.identity into r
      from pg_catalog.pg_depend d, pg_catalog.pg_identify_object(d.classid, d.objid, 0) o
     where d.refclassid = 'pg_catalog.pg_namespace'::regclass and d.refobjid = pg_catalog.to_regnamespace('public') and d.deptype = 'n'
       and d.classid <> 'pg_catalog.pg_default_acl'::regclass and o.identity is not null limit 1;
    exit when not found;
    execute pg_catalog.format('drop %s %s cascade',
      case r.type when 'composite type' then 'type' when 'statistics object' then 'statistics' else r.type end, r.identity);
  end loop; end $$`

/** An entry disappears once it grants what PostgreSQL grants anyway. */
const clearDefaultPrivileges = `do $$ declare r record; what text; begin
  for r in select d.oid, pg_catalog.pg_get_userbyid(d.defaclrole) as role, d.defaclobjtype as kind, n.nspname, d.defaclacl
             from pg_catalog.pg_default_acl d left join pg_catalog.pg_namespace n on n.oid = d.defaclnamespace loop
    what := case r.kind when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions' when 'T' then 'types'
                        when 'n' then 'schemas' else 'large objects' end;
    declare head text := pg_catalog.format('alter default privileges for role %I', r.role)
                         || case when r.nspname is null then '' else pg_catalog.format(' in schema %I', r.nspname) end;
            g record; begin
      for g in select distinct a.grantee from pg_catalog.aclexplode(r.defaclacl) a loop
        execute pg_catalog.format('%s revoke all on %s from %s', head, what,
          case g.grantee when 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) end);
      end loop;
      if r.nspname is null then
        execute pg_catalog.format('%s grant all on %s to %I', head, what, r.role);
        if r.kind = 'f' then execute head || ' grant execute on functions to public'; end if;
        if r.kind = 'T' then execute head || ' grant usage on types to public'; end if;
      end if;
    end;
  end loop; end $$`

/** As in template0. Who may not change it leaves it as it is. */
const publicAsNew = (serverVersion: number) => `do $$ declare r record; owner text; begin
  owner := ${serverVersion >= 150_000 ? "'pg_database_owner'" : '(select rolname from pg_catalog.pg_roles where oid = 10)'};
  if pg_catalog.to_regnamespace('public') is null then execute 'create schema public'; end if;
  select n.nspowner, n.nspacl, o.rolname into r from pg_catalog.pg_namespace n join pg_catalog.pg_roles o on o.oid = n.nspowner where n.nspname = 'public';
  if not pg_catalog.pg_has_role(current_user, r.nspowner, 'USAGE') then return; end if;
  declare g record; begin
    for g in select distinct a.grantee from pg_catalog.aclexplode(r.nspacl) a loop
      execute pg_catalog.format('revoke all on schema public from %s', case g.grantee when 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) end);
    end loop;
  end;
  execute pg_catalog.format('grant all on schema public to %I', r.rolname);
  if r.rolname <> owner then execute pg_catalog.format('alter schema public owner to %I', owner); end if;
  execute 'grant ${serverVersion >= 150_000 ? 'usage' : 'usage, create'} on schema public to public';
  execute 'comment on schema public is ''standard public schema''';
  end $$`
