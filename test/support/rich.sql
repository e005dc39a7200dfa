-- A database with one of everything that a dump carries. $owner and $reader are roles.
create extension pg_trgm;
create extension hstore;
create extension citext;
create schema app authorization "$owner";
create schema "Odd ""schema"" – ñ 🐘";
create type app.mood as enum ('sad', 'it''s ok', 'happy');
create type app.pair as (a int, b text);
create domain app.positive as int check (value > 0);
create collation app.plain (provider = libc, locale = 'C');
create sequence app.numbers start 100 increment 7 cycle maxvalue 500;
select nextval('app.numbers') from generate_series(1, 3);

create table app.people (
  id serial primary key,
  code int generated always as identity (start 50 increment 5),
  name text collate app.plain not null,
  mail citext unique,
  mood app.mood default 'happy',
  extra hstore,
  tags text[] default '{a,"b c"}',
  data jsonb,
  size numeric(12, 3) check (size >= 0),
  doubled numeric generated always as (size * 2) stored,
  picture bytea,
  at timestamptz default '2026-03-01 12:00:00+00'
);
insert into app.people (name, mail, mood, extra, data, size, picture)
  select 'person ' || n, n || '@Example.org', 'it''s ok', hstore('n', n::text), jsonb_build_object('n', n, 'ü', E'a\tb\n\\'), n, decode(md5(n::text), 'hex')
    from generate_series(1, 500) n;
insert into app.people (name, size, data) values (E'quote '' backslash \\ tab \t line \n é 🐘', 'NaN', null), (repeat('long ', 200000), 1, '[]');
delete from app.people where id = 7;
create index people_trgm on app.people using gin ((name) gin_trgm_ops) where length(name) < 1000;
create index people_expression on app.people (lower(name) text_pattern_ops, mood desc nulls last) include (code) where length(name) < 1000;
create statistics app.people_stats (dependencies) on mood, at from app.people;
comment on table app.people is 'people, "quoted" and it''s é';
comment on column app.people.name is 'their name';
comment on index app.people_trgm is 'for search';

create table "Odd ""schema"" – ñ 🐘"."Tab""le; drop table x --" ("Col""umn" int primary key, "select" text);
insert into "Odd ""schema"" – ñ 🐘"."Tab""le; drop table x --" select n, '\N' from generate_series(1, 10) n;
create table app.orders (
  id bigint not null, day date not null, person int not null references app.people, total app.positive, thing app.pair, primary key (id, day)
) partition by range (day);
create table app.orders_2026 partition of app.orders for values from ('2026-01-01') to ('2027-01-01') partition by hash (id);
create table app.orders_2026_0 partition of app.orders_2026 for values with (modulus 2, remainder 0);
create table app.orders_2026_1 partition of app.orders_2026 for values with (modulus 2, remainder 1);
create table app.orders_rest partition of app.orders default;
create index on app.orders (person);
insert into app.orders select n, date '2026-12-20' + n % 30, n, n, (n, 'x')::app.pair from generate_series(10, 300) n;
create table app.parent (a int); insert into app.parent values (1), (2);
create table app.child (b int) inherits (app.parent); insert into app.child values (3, 4);
create unlogged table app.cache (k text primary key); insert into app.cache values ('kept');
create table app.empty ();
create table app.bookings (room int, during tstzrange, exclude using gist (during with &&));
alter table app.orders add constraint not_checked check (total < 100000) not valid;
create table app.self (id int primary key, boss int references app.self deferrable initially deferred);

create view app.happy with (security_barrier) as select id, name from app.people where mood = 'happy' with local check option;
create materialized view app.counts as select mood, count(*) from app.people group by mood with data;
create unique index on app.counts (mood);
create materialized view app.unfilled as select 1 as one with no data;
create function app.shout(text) returns text language sql immutable strict parallel safe return upper($1) || '!';
create function app.touch() returns trigger language plpgsql as $body$ begin new.at := '2026-03-02'; return new; end $body$;
create procedure app.work(inout x int) language plpgsql as $$ begin x := x + 1; end $$;
create aggregate app.product(numeric) (sfunc = numeric_mul, stype = numeric, initcond = '1');
create operator app.=== (leftarg = int, rightarg = int, function = int4eq, commutator = operator(app.===));
create cast (app.pair as text) with inout as assignment;
create trigger touch before update on app.people for each row when (old.name is distinct from new.name) execute function app.touch();
alter table app.people disable trigger touch;
create rule no_delete as on delete to app.self do instead nothing;
create function app.noted() returns event_trigger language plpgsql as $$ begin end $$;
create event trigger noted on ddl_command_end execute function app.noted();
alter table app.self enable row level security;
create policy own on app.self for select to "$reader" using (id = 1);
create text search configuration app.words (copy = simple);
create foreign data wrapper nothing;
create server elsewhere foreign data wrapper nothing options (host 'x');
create user mapping for "$reader" server elsewhere options (user 'u');
create foreign table app.far (a int) server elsewhere;
create publication everything for table app.people, app.parent;

select lo_from_bytea(4711, decode(repeat('00ff', 100000), 'hex'));
select lo_from_bytea(4712, 'small');
comment on large object 4711 is 'a large object';
grant select on large object 4712 to "$reader";
alter large object 4712 owner to "$owner";

alter table app.people owner to "$owner";
alter function app.shout(text) owner to "$owner";
grant usage on schema app to "$reader";
grant select (id, name), update (name) on app.people to "$reader" with grant option;
grant select on all tables in schema app to "$reader";
revoke execute on function app.shout(text) from public;
alter default privileges for role "$owner" in schema app grant select on tables to "$reader";
comment on schema app is 'the application';
insert into app.self values (1, 2), (2, 1);
