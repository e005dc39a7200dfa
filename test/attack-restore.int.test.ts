import { execFileSync } from 'node:child_process'
import { chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'
import { describe, expect } from 'vitest'
import { serverAccount } from '../scripts/server.ts'
import { quoteIdent, quoteLiteral } from '../src/sql/quote.ts'
import { plant, plantOnTables } from './support/attack.ts'
import { client } from './support/backup.ts'
import { type App, type Cluster, test } from './support/chaos.ts'
import { type Sql, uniqueName } from './support/postgres.ts'

const password = 'secret of a test'

type Attack = {
  app: App
  /** The role that owns the application's objects and wants more. */
  role: string
  /** Another owner in the same database. */
  other: string
  id(): Promise<string>
}

const openAs = (cluster: Cluster, database: string, user: string): Sql => {
  const url = new URL(cluster.url(database))
  url.username = user
  url.password = encodeURIComponent(password)
  return postgres(url.href, { max: 1, fetch_types: false, onnotice() {}, no_subscribe: true } as never)
}

/** A database of an application, and what its owner did there. */
async function attacked(
  cluster: Cluster,
  makeApp: (extra: object, name?: string) => Promise<App>,
  sql: string,
  { plants = false, asSuperuser = '', like = '' }: { plants?: boolean; asSuperuser?: string; like?: string } = {},
): Promise<Attack> {
  const [role, other] = [uniqueName('attack_app'), uniqueName('attack_other')]
  const app = await makeApp({ databases: {} })
  await app.write({
    'pgbosun.yaml': JSON.stringify({
      database: { url: { env: 'DATABASE_URL' } },
      backup: { store: `file://${app.cwd}/store` },
    }),
  })
  await cluster.ask(`create role ${role} login password ${quoteLiteral(password)}; create role ${other}`)
  await cluster.ask(`create database ${quoteIdent(app.database)} owner ${role} ${like}`)
  const session = openAs(cluster, app.database, role)
  try {
    if (plants) await plant(session, { login: role, database: app.database })
    await session.unsafe(sql)
    if (plants) await plantOnTables(session)
  } finally {
    await session.end()
  }
  if (asSuperuser !== '')
    await cluster.ask(
      `set search_path to ''; ${asSuperuser.replaceAll('$other', other).replaceAll('$role', role)}`,
      app.database,
    )
  return {
    app,
    role,
    other,
    async id() {
      const { code, json, stderr } = await app.runJson('backup', 'run')
      expect(code, stderr).toBe(0)
      return json.id as string
    },
  }
}

const rolesOf = (cluster: Cluster) =>
  cluster.ask(
    `select r.rolname, r.rolsuper, r.rolcreaterole, r.rolcreatedb, r.rolbypassrls, r.rolreplication, r.rolcanlogin,
            array(select g.rolname::text from pg_auth_members m join pg_roles g on g.oid = m.roleid where m.member = r.oid order by 1)::text as groups
       from pg_roles r order by 1`,
  )

const dumpOf = (cluster: Cluster, database: string, ...more: string[]) =>
  execFileSync(join(client!.dir, 'pg_dump'), ['--no-password', `--dbname=${cluster.url(database)}`, ...more], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  }).replace(/^\\(un)?restrict .*$/gm, '')

/** Owners that a dump does not tell: of extensions' members and of what comes with the database nothing is asked. */
const ownersOf = (cluster: Cluster, database: string) =>
  cluster.ask(
    `select o.what, o.owner from (
       select oid::regclass::text as what, relowner::regrole::text as owner from pg_class where oid >= 16384 and relkind not in ('t', 'i', 'I')
       union all select oid::regprocedure::text, proowner::regrole::text from pg_proc where oid >= 16384
       union all select nspname, nspowner::regrole::text from pg_namespace where oid >= 16384 and nspname !~ '^pg_'
       union all select oid::regtype::text, typowner::regrole::text from pg_type where oid >= 16384 and typrelid = 0 and typelem = 0
       union all select fdwname, fdwowner::regrole::text from pg_foreign_data_wrapper
       union all select pubname, pubowner::regrole::text from pg_publication
       union all select evtname, evtowner::regrole::text from pg_event_trigger
       union all select oid::text, lomowner::regrole::text from pg_largeobject_metadata) o order by 1, 2`,
    database,
  )

/** The code of an application that uses its chance: as whoever it runs, it wants to become a superuser. */
const grab = `
  create schema app;
  create function app.become() returns boolean language plpgsql as $$ begin
    begin execute 'set role none'; exception when others then null; end;
    begin execute 'reset session authorization'; exception when others then null; end;
    if (select rolsuper from pg_catalog.pg_roles where rolname = session_user) then
      execute pg_catalog.format('alter role %I superuser', (select pg_catalog.pg_get_userbyid(relowner) from pg_catalog.pg_class where relname = 'whose' limit 1));
    end if;
    return true; end $$;
  create function app.grab() returns boolean language plpgsql immutable as $$ begin return app.become(); end $$;
  create table app.whose (a int);
  create function app.grab(anyelement) returns boolean language plpgsql immutable as $$ begin return app.grab(); end $$;
  create function app.grab_text(anyelement) returns text language plpgsql immutable as $$ begin perform app.grab(); return 'x'; end $$;
  create function app.grab_trigger() returns trigger language plpgsql as $$ begin perform app.grab(); return new; end $$;
  create function app.grab_event() returns event_trigger language plpgsql as $$ begin perform app.grab(); end $$;
  create function app.grab_state(int, int) returns int language plpgsql as $$ begin perform app.grab(); return 1; end $$`

/** Everywhere that a definition may hold an expression. */
const everywhere = `${grab};
  create domain app.checked as int check (app.grab(value));
  create type app.holder as (a app.checked);
  create table app.checks (a int check (app.grab(a)), b app.checked, c app.checked[] default '{1}'::app.checked[],
    h app.holder default '(1)'::app.holder, d text default app.grab_text(1), g text generated always as (app.grab_text(a)) stored);
  insert into app.checks (a, b) select n, n from generate_series(1, 200) n;
  create index on app.checks (app.grab_text(a)); create index on app.checks (a) where app.grab(a);
  create statistics app.stats on (app.grab_text(a)), a from app.checks;
  create table app.parts (a int, b text) partition by range (app.grab_text(a));
  create table app.parts_1 partition of app.parts for values from ('a') to ('z');
  insert into app.parts values (1, 'b');
  create table app.list (a app.checked) partition by list (a);
  create table app.list_1 partition of app.list for values in (1, 2);
  insert into app.list values (1);
  create view app.view as select *, app.grab_text(a), '{2}'::app.checked[] as more from app.checks;
  create materialized view app.filled as select app.grab_text(a), count(*) from app.checks group by 1;
  create rule noted as on insert to app.whose do also select app.grab();
  create trigger row before insert or update on app.checks for each row execute function app.grab_trigger();
  create constraint trigger later after insert on app.checks deferrable initially deferred for each row execute function app.grab_trigger();
  create policy own on app.checks using (app.grab(a)) with check (app.grab(a));
  alter table app.checks enable row level security, force row level security;
  create aggregate app.total(int) (sfunc = app.grab_state, stype = int, initcond = '0');
  create aggregate app.kept(app.checked) (sfunc = app.keep, stype = app.checked, initcond = '1');
  create table app.keys (k int primary key); insert into app.keys values (1);
  create table app.refers (k int references app.keys); insert into app.refers values (1);
  create function app.later(int default app.grab_state(1, 2), app.checked[] default '{3}') returns int language sql begin atomic select count(*) from app.checks; end;
  grant select on app.checks to public; grant usage on schema app to public;
  alter default privileges in schema app grant select on tables to public;
  comment on table app.checks is 'x''; alter role app superuser; --'`.replace(
  'create aggregate app.kept',
  () =>
    'create function app.keep(app.checked, app.checked) returns app.checked language sql as $$ select $1 $$; create aggregate app.kept',
)

/** Names that look like statements, and privileges on them. */
const hostile = (role: string) => {
  const evil = `x"; alter role ${role} superuser; --`
  const line = `y\nalter role ${role} superuser;\nGRANT ALL ON LARGE OBJECT 1 TO ${role};`
  const [e, l] = [quoteIdent(evil.slice(0, 60)), quoteIdent(line.slice(0, 60))]
  return `create schema ${e}; create table ${e}.${l} (${e} int); grant select (${e}) on ${e}.${l} to public;
    create function ${e}.${l}(${l} int) returns text language sql as ${quoteLiteral(`select '; alter role ${role} superuser; ';`)};
    revoke all on function ${e}.${l}(int) from public; comment on table ${e}.${l} is ${quoteLiteral(line)};
    create type ${e}.${e} as enum (${quoteLiteral(evil)}); create domain ${e}.other as int; create sequence ${l}; create view ${e}.${quoteIdent("it's")} as select 1 as ${l};
    create operator ${e}.<<<< (leftarg = int, rightarg = int, function = int4eq);
    select lo_create(4711); grant select on large object 4711 to public; comment on large object 4711 is ${quoteLiteral(evil)}`
}

describe.skipIf(!client)('a restore by a superuser', () => {
  test('does not make the application one, wherever its code stands, and everything is as it was', async ({
    cluster,
    makeApp,
  }) => {
    const attack = await attacked(cluster, makeApp, everywhere, {
      asSuperuser: `create function app.of_superuser() returns int language sql security definer as 'select 1';
        create function app.untold(int) returns boolean language plpgsql leakproof as 'begin return true; end';
        create function app.in_c(text) returns int language internal strict as 'textlen';
        create table app.of_other (a int); insert into app.of_other values (1); alter table app.of_other owner to $other;
        alter table app.of_other add constraint grab check (app.grab(a)) not valid; update pg_catalog.pg_constraint set convalidated = true where conname = 'grab';
        create view app.of_superuser_view as select app.grab_text(a) from app.checks;
        create type app.base; create function app.base_in(cstring) returns app.base language internal strict immutable as 'textin';
        create function app.base_out(app.base) returns cstring language internal strict immutable as 'textout';
        create type app.base (input = app.base_in, output = app.base_out, like = text); alter type app.base owner to $role;
        create table app.bases (b app.base); insert into app.bases values ('text');
        create cast (app.base as text) without function;
        create operator family app.fam using btree; create operator class app.cls for type int using btree family app.fam as operator 1 <, operator 2 <=, operator 3 =, operator 4 >=, operator 5 >, function 1 btint4cmp(int, int);
        create index on app.checks using btree (a app.cls);
        create foreign data wrapper wrap; create server far foreign data wrapper wrap; alter server far owner to $role; create user mapping for $role server far options (password 'x');
        create publication everything for all tables; create publication parts for table app.checks where (a > 1);
        create subscription sub connection 'host=nowhere' publication p with (connect = false, slot_name = none);
        create function app.handler() returns language_handler language c as '$libdir/plpgsql', 'plpgsql_call_handler'; create trusted language mine handler app.handler; create function app.in_mine() returns int language mine as 'begin return 1; end';
        create access method am2 type index handler pg_catalog.bthandler;
        create text search template app.tpl (lexize = dsimple_lexize); create text search dictionary app.dict (template = app.tpl)`,
    })
    const session = openAs(cluster, attack.app.database, attack.role)
    await session.unsafe(`${hostile(attack.role)};
      create foreign table app.abroad (a int check (app.grab(a)) default 1, c app.checked[] default '{4}') server far;
      create foreign table app.plain (a int) server far; create materialized view app.of_abroad as select a from app.plain with no data`)
    await session.end()
    await cluster.ask(
      'create event trigger ev on ddl_command_end execute function app.grab_event()',
      attack.app.database,
    )
    await attack.id()
    const before = await rolesOf(cluster)
    const into = uniqueName('copy')
    const { code, stderr, json } = await attack.app.runJson('restore', '--into', into, '--yes')
    expect(code, stderr).toBe(0)
    expect(json.warnings).toEqual([])
    expect(await rolesOf(cluster)).toEqual(before)
    expect(dumpOf(cluster, into)).toEqual(dumpOf(cluster, attack.app.database))
    const owners = await ownersOf(cluster, attack.app.database)
    expect(await ownersOf(cluster, into)).toEqual(owners)

    const { database } = attack.app
    const dump = dumpOf(cluster, database)
    const inPlace = await attack.app.runJson('restore', '--in-place', '--replace', database, '--no-backup-first')
    expect(inPlace.code, inPlace.stderr).toBe(0)
    expect(await rolesOf(cluster)).toEqual(before)
    expect(dumpOf(cluster, database)).toEqual(dump)
    expect(await ownersOf(cluster, database)).toEqual(owners)
  }, 240_000)

  test('does not let what is planted on tables and functions run with more rights, with and without owners', async ({
    cluster,
    makeApp,
  }) => {
    const { app, id } = await attacked(
      cluster,
      makeApp,
      'create table public.things (id int primary key, name text); insert into public.things select n, n::text from generate_series(1, 100) n',
      { plants: true },
    )
    await id()
    const before = await rolesOf(cluster)
    for (const more of [[], ['--no-owner']]) {
      const into = uniqueName('copy')
      const { code, stderr } = await app.run('restore', '--into', into, '--yes', ...more)
      expect(code, stderr).toBe(0)
      expect(await rolesOf(cluster)).toEqual(before)
      expect(await cluster.ask('select * from public.seen', into)).toEqual([])
      expect(dumpOf(cluster, into, '--no-owner', '--no-acl')).toEqual(
        dumpOf(cluster, app.database, '--no-owner', '--no-acl'),
      )
    }
    const dump = dumpOf(cluster, app.database)
    const { code, stderr } = await app.run('restore', '--in-place', '--replace', app.database, '--no-backup-first')
    expect(code, stderr).toBe(0)
    expect(await rolesOf(cluster)).toEqual(before)
    expect(await cluster.ask('select * from public.seen', app.database)).toEqual([])
    expect(dumpOf(cluster, app.database)).toEqual(dump)
  }, 240_000)

  test('needs no other server, and leaves what reads foreign tables empty, with a warning', async ({
    cluster,
    makeApp,
  }) => {
    const { app, id } = await attacked(cluster, makeApp, 'create table public.things as select 1 as a', {
      asSuperuser: `create schema "Ext ""s"" "; create extension postgres_fdw schema "Ext ""s"" "; create extension file_fdw schema public;
        create server here foreign data wrapper postgres_fdw options (host '127.0.0.1', port '${cluster.port}', dbname 'postgres');
        create user mapping for postgres server here options (user 'postgres', password ${quoteLiteral(cluster.password)});
        create foreign table public.far (relname name) server here options (schema_name 'pg_catalog', table_name 'pg_class');
        create server files foreign data wrapper file_fdw; alter server files owner to $role;
        create foreign table public.lines (line text) server files options (filename '/etc/hostname', format 'text');
        create view public.between as select * from public.far;
        create materialized view public.known as select pg_catalog.count(*) from public.between;
        create materialized view public.own as select pg_catalog.count(*) from public.things`,
    })
    await id()
    const into = uniqueName('copy')
    const { code, json, stderr } = await app.runJson('restore', '--into', into, '--yes')
    expect(code, stderr).toBe(0)
    expect(json.warnings).toEqual([
      'the materialised view "public"."known" reads foreign tables, so it was left empty: refresh it',
    ])
    expect(await cluster.ask('select count::int from public.own', into)).toEqual([{ count: 1 }])
    await cluster.ask('refresh materialized view public.known', into)
    expect(dumpOf(cluster, into, '--schema-only')).toEqual(dumpOf(cluster, app.database, '--schema-only'))
  }, 120_000)

  test('brings back a database of another encoding, and what lies in a tablespace', async ({ cluster, makeApp }) => {
    const { app, role, id } = await attacked(cluster, makeApp, 'select 1', {
      like: `template template0 encoding 'LATIN1' lc_collate 'C' lc_ctype 'C'`,
    })
    const space = uniqueName('space')
    const dir = join(cluster.dir, space)
    mkdirSync(dir)
    const account = serverAccount()
    if (account) chownSync(dir, account.uid, account.gid)
    await cluster.ask(`create tablespace ${space} location ${quoteLiteral(dir)}`)
    await cluster.ask(
      `create schema "Größe"; create table "Größe"."Maß" ("ß" text) tablespace ${space}; alter table "Größe"."Maß" owner to ${role};
       insert into "Größe"."Maß" values ('ä'); comment on table "Größe"."Maß" is 'ü'; grant select on "Größe"."Maß" to public;
       create function "Größe"."länge"(text) returns int language internal as 'textlen'; create index on "Größe"."Maß" (lower("ß")) tablespace ${space}`,
      app.database,
    )
    await id()
    const into = uniqueName('copy')
    const { code, stderr } = await app.run('restore', '--into', into, '--yes')
    expect(code, stderr).toBe(0)
    const dump = dumpOf(cluster, into, '--encoding=UTF8')
    expect(dump).toEqual(dumpOf(cluster, app.database, '--encoding=UTF8'))
    expect(dump).toContain('Größe')
  }, 120_000)

  test('runs the code with all rights when a person says --as-superuser, and says so first', async ({
    cluster,
    makeApp,
  }) => {
    const { app, role, id } = await attacked(
      cluster,
      makeApp,
      `${grab}; create table app.checks (a int check (app.grab(a))); insert into app.checks values (1)`,
    )
    await id()
    const isSuper = async () => (await cluster.ask(`select rolsuper from pg_roles where rolname = '${role}'`))[0]
    const safe = await app.run('restore', '--into', uniqueName('copy'), '--yes')
    expect(safe.code, safe.stderr).toBe(0)
    expect(await isSuper()).toEqual({ rolsuper: false })
    const { code, stdout, stderr } = await app.run('restore', '--into', uniqueName('copy'), '--yes', '--as-superuser')
    expect(code, stderr).toBe(0)
    expect(stdout.split('\n')[0]).toBe('trust    code in this backup runs with the rights of postgres (--as-superuser)')
    expect(await isSuper()).toEqual({ rolsuper: true })
    await cluster.ask(`alter role ${role} nosuperuser`)
  }, 120_000)

  test('removes its login without running event triggers of the database that has the lock', async ({
    cluster,
    makeApp,
  }) => {
    const { app, role, id } = await attacked(
      cluster,
      makeApp,
      `${grab}; create function app.fails(int) returns boolean language plpgsql as $$ begin
         if session_user like 'pgbosun_restore_%' then raise exception 'no'; end if; return true; end $$;
       create table app.checks (a int check (app.fails(a))); insert into app.checks values (1)`,
    )
    await id()
    // the same database has the lock: there a superuser lets a function of the application watch what happens
    const given = JSON.parse(readFileSync(join(app.cwd, 'pgbosun.yaml'), 'utf8'))
    await app.write({ 'pgbosun.yaml': JSON.stringify({ ...given, lock: { database: app.database } }) })
    const events = ['ddl_command_start', 'sql_drop', 'ddl_command_end']
    await cluster.ask(
      events
        .map((on) => `create event trigger on_${on} on ${on} execute function app.grab_event();`)
        .concat('alter event trigger on_sql_drop enable always')
        .join(' '),
      app.database,
    )
    const triggers = () => cluster.ask('select evtname, evtenabled from pg_event_trigger order by 1', app.database)
    const before = { roles: await rolesOf(cluster), triggers: await triggers() }
    // what killed runs left: nothing there, a privilege there, one that is no database's
    const [first, second] = ['0123abcd', '89ef4567'].map((random) => `pgbosun_restore_0000002a_${random}`)
    const off = 'set session_replication_role to replica; alter event trigger on_sql_drop disable'
    await cluster.ask(
      `${off}; create role ${first}; create role ${second}; grant select on app.checks to ${second};
       grant create on database ${quoteIdent(app.database)} to ${first}; alter event trigger on_sql_drop enable always`,
      app.database,
    )
    const { code, stderr } = await app.run('restore', '--into', uniqueName('copy'), '--yes')
    expect(code, stderr).toBe(70)
    expect(stderr.match(/removed the login that a killed restore left behind/g)).toHaveLength(2)
    expect(stderr).not.toContain('could not remove')
    expect({ roles: await rolesOf(cluster), triggers: await triggers() }).toEqual(before)
    await cluster.ask(`alter role ${role} nosuperuser`)
  }, 120_000)

  test.for([
    [
      'replaces a function of a superuser',
      `execute 'create or replace function app.of_superuser() returns int language sql security definer as ''select 2''';`,
      /function app.of_superuser/,
    ],
    [
      'hangs a trigger on the table of another',
      `execute 'create trigger t before insert on app.of_other for each row execute function app.grab_trigger()';`,
      /trigger t on table app.of_other/,
    ],
    [
      'grants itself what belongs to another',
      `execute 'grant select on app.of_other to public';`,
      /table app.of_other/,
    ],
    [
      'makes a function that would belong to somebody else',
      `execute 'create function app.new() returns int language sql security definer as ''select 4''';`,
      /function app.new/,
    ],
    [
      'makes one while the list is read',
      `if to_regprocedure('app.new()') is null then execute 'create function app.new() returns int language sql security definer as ''select 4'''; end if;`,
      /function app.new/,
      `create domain app.evil as int check (app.evil(value)); create table app.zz (a app.evil[] default '{1}'::app.evil[])`,
    ],
    [
      'opens the database to somebody',
      `execute pg_catalog.format('grant create on database %I to public', pg_catalog.current_database());`,
      /database/,
    ],
    ['opens a schema to somebody', `execute 'grant create on schema public to public';`, /schema public/],
    [
      'changes what is made while the list is read',
      `execute 'create or replace function app.of_superuser() returns int language sql security definer as ''select 3''';`,
      /function app.of_superuser/,
      `create domain app.evil as int check (app.evil(value)); create table app.zz (a app.evil[] default '{1}'::app.evil[])`,
    ],
    [
      'lets its owner act as the login',
      `execute pg_catalog.format('grant %I to %I', session_user, (select rolname from pg_catalog.pg_roles where rolname like 'attack_app%' limit 1));`,
      // where the server lets it
      /was made a member of the login|must have admin option|permission denied to grant role/,
    ],
  ] as const)('is ended with 70 when code in it %s', async ([what, does, said, more = 'select 1'], {
    cluster,
    makeApp,
  }) => {
    const { app, id } = await attacked(
      cluster,
      makeApp,
      `${grab}; create function app.evil(int) returns boolean language plpgsql as $evil$ begin
         if session_user like 'pgbosun_restore_%' then ${does} end if; return true; end $evil$;
       create table app.checks (a int check (app.evil(a))); insert into app.checks values (1); ${more}`,
      {
        asSuperuser: `create function app.of_superuser() returns int language sql security definer as 'select 1';
          create table app.of_other (a int); alter table app.of_other owner to $other`,
      },
    )
    await id()
    const before = await rolesOf(cluster)
    for (const jobs of [[], ['--jobs', '2']]) {
      const into = uniqueName('copy')
      const { code, json, stderr } = await app.runJson('restore', '--into', into, '--yes', ...jobs)
      expect(code, stderr).toBe(70)
      expect(json.error?.message).toMatch(said)
      expect(json.error?.message).toContain('nothing was changed')
      expect(await cluster.ask(`select from pg_database where starts_with(datname, '${into}')`)).toEqual([])
      expect(await rolesOf(cluster)).toEqual(before)
    }
    const dump = dumpOf(cluster, app.database)
    const inPlace = await app.runJson('restore', '--in-place', '--replace', app.database, '--no-backup-first')
    // There the login owns neither the database nor schema public, so it has nothing to grant.
    if (what.startsWith('opens')) expect(inPlace.code, inPlace.stderr).toBe(0)
    else {
      expect(inPlace.code, inPlace.stderr).toBe(70)
      expect(inPlace.json.error?.message).toMatch(said)
      expect(inPlace.json.error?.message).toContain('nothing was changed')
    }
    expect(dumpOf(cluster, app.database)).toEqual(dump)
    expect(await rolesOf(cluster)).toEqual(before)
  })

  test('is refused before anything is touched where only running the code would do, naming --as-superuser', async ({
    cluster,
    makeApp,
  }) => {
    const { app, id } = await attacked(
      cluster,
      makeApp,
      `${grab}; create domain app.checked as int check (app.grab(value))`,
      {
        asSuperuser: `create function app.valid(text[], oid) returns void language plpgsql as 'begin end';
        create foreign data wrapper wrap validator app.valid;
        create function app.untold(int, app.checked[] default array[]::app.checked[]) returns int language internal as 'int4abs';`,
      },
    )
    await id()
    const into = uniqueName('copy')
    const { code, json } = await app.runJson('restore', '--into', into, '--yes')
    expect([code, json.touched]).toEqual([70, false])
    expect(json.error?.message).toContain('foreign data wrapper wrap calls a function of the application')
    expect(json.error?.hint).toContain('--as-superuser')
    expect(await cluster.ask(`select from pg_database where starts_with(datname, '${into}')`)).toEqual([])
    const trusted = await app.run('restore', '--into', into, '--yes', '--as-superuser')
    expect(trusted.code, trusted.stderr).toBe(0)
  })
})

describe.skipIf(!client)('a restore by somebody else', () => {
  const urlFor = async (cluster: Cluster, app: App, attributes: string) => {
    const user = uniqueName('restorer')
    await cluster.ask(`create role ${user} login password ${quoteLiteral(password)} ${attributes}`)
    const url = new URL(cluster.url(app.database))
    url.username = user
    url.password = encodeURIComponent(password)
    await app.write({ url: url.href })
    await app.write({
      'pgbosun.yaml': JSON.stringify({
        database: { url: { file: 'url' } },
        backup: { store: `file://${app.cwd}/store` },
      }),
    })
    return user
  }
  const sql = `${grab}; create table app.checks (a int check (app.grab(a))); insert into app.checks values (1); create extension pg_trgm`

  test('with CREATEDB and CREATEROLE makes the login as well, and everything is theirs without owners', async ({
    cluster,
    makeApp,
  }) => {
    const { app, id } = await attacked(cluster, makeApp, sql)
    await id()
    const user = await urlFor(cluster, app, 'createdb createrole')
    const before = await rolesOf(cluster)
    const into = uniqueName('copy')
    const { code, stderr } = await app.run('restore', '--into', into, '--yes', '--no-owner')
    expect(code, stderr).toBe(0)
    expect(await rolesOf(cluster)).toEqual(before)
    const owners = await cluster.ask<{ owner: string }>(
      `select distinct relowner::regrole::text as owner from pg_class where oid >= 16384 and relkind = 'r'
       union select datdba::regrole::text from pg_database where datname = current_database()`,
      into,
    )
    expect(owners).toEqual([{ owner: user }])
    const [may] = await cluster.ask(
      `select has_database_privilege('public', datname, 'connect') as connect from pg_database where datname = '${into}'`,
    )
    expect(may).toEqual({ connect: false })
  })

  test('keeps owners and privileges where that user may act as them', async ({ cluster, makeApp }) => {
    const { app, role, id } = await attacked(
      cluster,
      makeApp,
      `${sql}; create table public.things (id serial primary key); grant select on public.things to public`,
    )
    await id()
    const user = await urlFor(cluster, app, 'createdb createrole')
    await cluster.ask(`grant ${role} to ${user}`)
    const into = uniqueName('copy')
    const { code, stderr } = await app.run('restore', '--into', into, '--yes')
    expect(code, stderr).toBe(0)
    expect(dumpOf(cluster, into)).toEqual(dumpOf(cluster, app.database))
  })

  test('with rights to lose and none to make a login is exit 12, with the ways out', async ({ cluster, makeApp }) => {
    const { app, id } = await attacked(cluster, makeApp, sql)
    await id()
    const user = await urlFor(cluster, app, 'createdb bypassrls')
    const { code, json } = await app.runJson('restore', '--into', uniqueName('copy'), '--yes', '--no-owner')
    expect([code, json.touched]).toEqual([12, false])
    expect(json.error?.message).toContain(`${user}, which bypasses row security`)
    expect(json.error?.hint).toContain('createrole')
    expect(json.error?.hint).toContain('--as-superuser')
  })

  test('of a server that does not let the login in is exit 12, and nothing stays behind', async ({
    cluster,
    makeApp,
  }) => {
    const { app, id } = await attacked(cluster, makeApp, sql)
    await id()
    const file = join(cluster.dir, 'data', 'pg_hba.conf')
    const usual = readFileSync(file, 'utf8')
    writeFileSync(file, 'host all postgres 127.0.0.1/32 scram-sha-256\n')
    await cluster.ask('select pg_reload_conf()')
    try {
      const before = await rolesOf(cluster)
      const into = uniqueName('copy')
      const { code, json, stderr } = await app.runJson('restore', '--into', into, '--yes')
      expect(code, stderr).toBe(12)
      expect(json.error?.message).toContain('the server refused the login')
      expect(json.error?.hint).toContain('pg_hba.conf')
      expect(await cluster.ask(`select from pg_database where starts_with(datname, '${into}')`)).toEqual([])
      expect(await rolesOf(cluster)).toEqual(before)
      const trusted = await app.run('restore', '--into', into, '--yes', '--as-superuser')
      expect(trusted.code, trusted.stderr).toBe(0)
    } finally {
      writeFileSync(file, usual)
      await cluster.ask('select pg_reload_conf()')
    }
  })
})
