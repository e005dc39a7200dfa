import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { runJson, start } from './support/cli.ts'
import { test as base, open, type Sql, uniqueName, urlOf, writeFiles } from './support/postgres.ts'

type Place = {
  /** A database to import from, and its name. */
  source: Sql
  old: string
  /** A role that owns it. */
  owner: string
  /** A database that is declared, and does not exist yet. */
  target: string
  json(...args: string[]): ReturnType<typeof runJson>
  options: { cwd: string; env: Record<string, string> }
  /** Writes the configuration, with more keys of `import`. */
  configure(imported: string, more?: string): Promise<void>
}

const test = base.extend<{ place: Place }>({
  place: async ({ dir, database, sql }, use) => {
    const target = uniqueName('home')
    const owner = uniqueName('owner')
    const options = { cwd: dir, env: { DATABASE_URL: urlOf(target), OLD_URL: urlOf(database) } }
    await sql.unsafe(`create role ${owner}`)
    const configure = (imported: string, more = '') =>
      writeFiles(dir, {
        'pgbosun.yaml': `import: ${imported}\ndatabases: { ${target}: { owner: ${owner} } }\nbackup: { store: "file://${dir}/store" }\n${more}`,
      })
    await configure('{ url: { env: OLD_URL } }')
    await use({
      ...{ source: sql, old: database, owner, target, options, configure },
      json: (...args) => runJson(args, options),
    })
    const admin = open('postgres')
    await admin.unsafe(`drop database if exists ${target} with (force)`)
    await admin.end()
  },
})

/** Tables that refer to each other in a circle, with keys of UUIDs, enums, identity columns, text in several forms. */
const circle = (owner: string, tables: number) => `
  create schema app authorization ${owner};
  set role ${owner};
  create type app.mood as enum ('sad', 'ok', 'happy');
  do $$ begin
    for i in 1..${tables} loop
      execute pg_catalog.format('create table app.t%s (id uuid primary key default gen_random_uuid(), n bigint generated always as identity, m app.mood, body text, at timestamptz default now(), f float8, peer uuid)', i);
      execute pg_catalog.format('insert into app.t%s (m, body, f) select (array[''sad'', ''ok'', ''happy''])[1 + x %% 3]::app.mood, ''row '' || x || E''\\tü\\n'', random() from generate_series(1, 20) x', i);
    end loop;
    for i in 1..${tables} loop
      execute pg_catalog.format('update app.t%s set peer = (select id from app.t%s limit 1)', i, 1 + i % ${tables});
      execute pg_catalog.format('alter table app.t%s add foreign key (peer) references app.t%s (id)', i, 1 + i % ${tables});
    end loop;
  end $$;
  reset role`

/** Every row of every table in the schema `app`, and the sequences. */
async function contentOf(sql: Sql): Promise<unknown> {
  const tables = await sql<{ name: string }[]>`
    select c.relname as name from pg_class c where c.relnamespace = 'app'::regnamespace and c.relkind = 'r' order by 1`
  const rows: Record<string, unknown> = {}
  for (const { name } of tables)
    rows[name] = (await sql.unsafe(`select array_agg(t::text order by id::text)::text as rows from app.${name} t`))[0]
  const sequences = await sql`select sequencename, last_value from pg_sequences where schemaname = 'app' order by 1`
  return { rows, sequences: [...sequences] }
}

const stepsOf = (json: Record<string, unknown>) =>
  (json.steps as { name: string; state: string }[]).map(({ name, state }) => `${name} ${state}`)

async function leftovers(target: string): Promise<string[]> {
  const admin = open('postgres')
  const rows = await admin<{ name: string }[]>`
    select datname as name from pg_database where datname like ${`${target.slice(0, 40)}\\_\\_%`}
    union all select rolname from pg_roles where rolname like 'pgbosun\\_restore\\_%' and rolname like ${`%${'_'}%`} and rolname = any (select usename from pg_stat_activity)`
  await admin.end()
  return rows.map(({ name }) => name)
}

const tableSql = (owner: string) => `create schema app authorization ${owner}; set role ${owner};
  create table app.users (id serial primary key, email text not null); insert into app.users (email) select 'real' || x || '@example.com' from generate_series(1, 50) x; reset role`

describe('from another PostgreSQL', () => {
  test('50 tables in a circle come with owners, sequences and history, once', async ({ place }) => {
    const { source, owner, json, target } = place
    await source.unsafe(circle(owner, 50))
    await source.unsafe('select lo_create(0)')
    const first = await json('up')
    expect(first.json).toMatchObject({ exit_code: 0, error: null })
    expect(stepsOf(first.json)).toContain('import done')
    const home = open(target)
    expect(await contentOf(home)).toEqual(await contentOf(source))
    expect(
      await home`select count(*)::int as n from pg_class where relname like 't%' and relowner = ${owner}::regrole and relkind = 'r'`,
    ).toEqual([{ n: 50 }])
    expect(await home`select name, rows from pgbosun.imports`).toEqual([{ name: 'postgresql', rows: '1000' }])
    const second = await json('up')
    expect(second.json.exit_code).toBe(0)
    expect(stepsOf(second.json)).toEqual(
      ['wait', 'ensure', 'import', 'migrate', 'grant', 'seed', 'check'].map((name) => `${name} nothing`),
    )

    await home.end()
    expect(await leftovers(target)).toEqual([])
  })

  test('and goes back, with what was written at home', async ({ place }) => {
    const { source: home, old, owner, options } = place
    await home.unsafe(circle(owner, 50))
    await home.unsafe('insert into app.t1 (body) values ($$at home$$)')
    const back = uniqueName('back')
    await writeFiles(options.cwd, {
      'back.yaml': `import: { url: { env: OLD_URL } }\ndatabases: { ${back}: { owner: ${owner} } }\n`,
    })
    const again = await runJson(['up', '--config', 'back.yaml'], {
      ...options,
      env: { DATABASE_URL: urlOf(back), OLD_URL: urlOf(old) },
    })
    expect(again.json).toMatchObject({ exit_code: 0, error: null })
    const returned = open(back)
    expect(await contentOf(returned)).toEqual(await contentOf(home))
    await returned.end()
    expect(await leftovers(back)).toEqual([])
    const admin = open('postgres')
    await admin.unsafe(`drop database ${back} with (force)`)
    await admin.end()
  })

  test('a source that is lost is told as such; the trail of the database that stays has the end of the run', async ({
    place,
  }) => {
    const { source, owner, json, target, old, options, configure } = place
    await source.unsafe(tableSql(owner))
    await source.unsafe(
      `create table app.slow (n int, pad text); insert into app.slow select x, pg_catalog.repeat('x', 1000) from generate_series(1, 60000) x`,
    )
    const admin = open('postgres')
    await admin.unsafe(`create database ${target} owner ${owner}`)
    await writeFiles(options.cwd, {
      'first.yaml': 'migrate: { dir: first }\n',
      'first/1_one.sql': 'create table one ();',
    })
    expect((await json('migrate', '--config', 'first.yaml')).json).toMatchObject({ exit_code: 0 })
    await configure('{ url: { env: OLD_URL } }')
    const done = json('import')
    // the session that compares, while pg_dump goes on
    for (let ended = 0; ended === 0; await sleep(10)) {
      const rows = await admin`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = ${old} and application_name like 'pgbosun import %' and query not like 'COPY%'
          and exists (select from pg_database where datname like ${`${target.slice(0, 40)}\\_\\_import\\_%`})`
      ended = rows.length
    }
    const { json: failed } = await done
    expect(failed).toMatchObject({
      exit_code: 40,
      error: { message: expect.stringContaining('the source could not be read to its end') },
    })
    const kept = open(target)
    expect(await kept`select phase, exit_code from pgbosun.events where command = 'import' order by id`).toEqual([
      { phase: 'started', exit_code: null },
      { phase: 'finished', exit_code: 40 },
    ])
    await kept.end()
    await admin.end()
    expect(await leftovers(target)).toEqual([])
  })

  test('a target with rows is refused with their number, and stays', async ({ place }) => {
    const { source, owner, json, target } = place
    await source.unsafe(tableSql(owner))
    const admin = open('postgres')
    await admin.unsafe(`create database ${target} owner ${owner}`)
    await admin.end()
    const home = open(target)
    await home.unsafe('create table mine (n int); insert into mine select generate_series(1, 7)')
    const { json: refused } = await json('up')
    expect(refused.exit_code).toBe(40)
    expect((refused.error as { message: string }).message).toContain('"mine" (7 rows)')
    expect(await home`select count(*)::int as n from mine`).toEqual([{ n: 7 }])
    // a table without rows gives way, and what else was there is kept
    await home.unsafe('truncate mine')
    const imported = await json('up')
    expect(imported.json).toMatchObject({ exit_code: 0 })
    await home.end()
    const [kept] = await leftovers(target)
    expect(kept).toMatch(/__before_[0-9a-f]{8}$/)
    const after = open('postgres')
    await after.unsafe(`drop database ${kept} with (force)`)
    await after.end()
  })

  test('the target itself, and a plan in a file, are refused', async ({ place }) => {
    const { json, options, target, source, owner } = place
    await source.unsafe(tableSql(owner))
    options.env.DATABASE_URL = options.env.OLD_URL!
    await writeFiles(options.cwd, { 'pgbosun.yaml': 'import: { url: { env: OLD_URL } }\n' })
    await source.unsafe('truncate app.users')
    const { json: refused } = await json('up')
    expect(refused).toMatchObject({
      exit_code: 2,
      error: { message: expect.stringContaining('the target database itself') },
    })
    await place.configure('{ url: { env: OLD_URL } }')
    options.env.DATABASE_URL = urlOf(target)
    expect((await json('plan', '--out', 'plan.json')).json).toMatchObject({ exit_code: 2 })
  })

  test('tables are left out, unless something needs them; the plan shows what comes', async ({ place }) => {
    const { source, owner, json, target, configure } = place
    await source.unsafe(tableSql(owner))
    await source.unsafe('create table app.log (n int); create table app.notes (user_id int references app.users)')
    const shown = await json('import', '--plan', '--exclude', 'app.log')
    expect(shown.json).toMatchObject({
      exit_code: 0,
      excluded: ['app.log'],
      tables: expect.arrayContaining([{ name: 'app.users', rows: null, size_bytes: expect.any(Number) }]),
    })
    await configure('{ url: { env: OLD_URL }, exclude: [app.users] }')
    const needed = await json('up')
    expect(needed.json).toMatchObject({ exit_code: 40, error: { message: expect.stringContaining('import.exclude') } })
    await configure('{ url: { env: OLD_URL }, exclude: ["app.l*"] }')
    expect((await json('up')).json).toMatchObject({ exit_code: 0 })
    const home = open(target)
    expect(
      await home`select relname from pg_class where relnamespace = 'app'::regnamespace and relkind = 'r' order by 1`,
    ).toEqual([{ relname: 'notes' }, { relname: 'users' }])
    await home.end()
  })

  test('code of the source gains nothing: neither while it is loaded nor compared', async ({ place }) => {
    const { source, owner, json, target } = place
    await source.unsafe(tableSql(owner))
    await source.unsafe(`create function app.rise() returns boolean language plpgsql as $$
        begin if (select rolsuper from pg_catalog.pg_roles where rolname = current_user) or (select rolsuper from pg_catalog.pg_roles where rolname = session_user)
          then execute 'alter role ${owner} superuser'; end if; return true; exception when others then return true; end $$;
      alter function app.rise() owner to ${owner}`)
    await source
      .unsafe(
        `set role ${owner}; alter table app.users add check (app.rise()) not valid; create index on app.users ((email || app.rise()::text)) where false; reset role`,
      )
      .catch(async () => {
        await source.unsafe(`reset role; alter table app.users add check (app.rise()) not valid`)
      })
    await source.unsafe(`alter role ${owner} nosuperuser`)
    const { json: done } = await json('up')
    expect(done).toMatchObject({ exit_code: 0 })
    const home = open(target)
    expect(await home`select rolsuper from pg_roles where rolname = ${owner}`).toEqual([{ rolsuper: false }])
    await home.end()
  })

  test('killed in the middle, nothing is seen, and the next run starts from zero; two runners import once', async ({
    place,
  }) => {
    const { source, owner, json, target, options } = place
    await source.unsafe(tableSql(owner))
    await source.unsafe(
      `create table app.slow (n int, pad text); insert into app.slow select x, pg_catalog.repeat('x', 1000) from generate_series(1, 60000) x`,
    )
    const { child, finished } = start(['up'], options)
    const admin = open('postgres')
    for (;;) {
      const rows = await admin`select from pg_database where datname like ${`${target.slice(0, 40)}\\_\\_import\\_%`}`
      if (rows.length > 0) break
      await sleep(5)
    }
    await sleep(300)
    child.kill('SIGKILL')
    await finished
    const home = open(target)
    expect(await home`select from pg_class where relname = 'users'`).toEqual([])
    await home.end()
    const both = await Promise.all([json('up'), json('up')])
    expect(both.map(({ json: { exit_code } }) => exit_code)).toEqual([0, 0])
    expect(
      both
        .flatMap(({ json: done }) => stepsOf(done))
        .filter((step) => step.startsWith('import'))
        .sort(),
    ).toEqual(['import done', 'import nothing'])
    expect(await leftovers(target)).toEqual([])
    await admin.end()
  })
})

describe('from a backup', () => {
  const anonymise = "update app.users set email = 'user' || id || '@invalid'"

  async function backedUp({ options, old, source, owner }: Place): Promise<void> {
    await source.unsafe(tableSql(owner))
    const env = { DATABASE_URL: urlOf(old) }
    await writeFiles(options.cwd, { 'source.yaml': `backup: { store: "file://${options.cwd}/store" }\n` })
    const { json: made } = await runJson(['backup', 'run', '--config', 'source.yaml'], { ...options, env })
    expect(made.exit_code).toBe(0)
  }

  test('nobody ever sees what was not anonymised', async ({ place }) => {
    const { json, target, configure, options, old } = place
    await backedUp(place)
    await writeFiles(options.cwd, { 'anonymise.sql': `select pg_catalog.pg_sleep(1); ${anonymise}` })
    await configure(`{ backup: latest, database: ${old}, after: anonymise.sql }`)
    let done = false
    const seen: string[] = []
    const watching = (async () => {
      while (!done) {
        const watcher = open(target)
        const rows = await watcher.unsafe('select email from app.users').catch(() => [])
        seen.push(...rows.map(({ email }) => email as string))
        await watcher.end({ timeout: 1 }).catch(() => {})
        await sleep(20)
      }
    })()
    const { json: imported } = await json('up')
    done = true
    await watching
    expect(imported).toMatchObject({ exit_code: 0 })
    expect(seen.filter((email) => email.startsWith('real'))).toEqual([])
    const home = open(target)
    expect(await home`select count(*)::int as n from app.users where email like 'user%@invalid'`).toEqual([{ n: 50 }])
    expect(await home`select name, source ->> 'after' as after from pgbosun.imports`).toEqual([
      { name: 'backup', after: 'anonymise.sql' },
    ])
    await home.end()
    expect(stepsOf((await json('up')).json)).toContain('import nothing')
    expect(await leftovers(target)).toEqual([])
  })

  test('a file that fails leaves nothing; it has the rights of the owner alone', async ({ place }) => {
    const { json, target, configure, options, old, owner } = place
    await backedUp(place)
    await configure(`{ backup: latest, database: ${old}, after: anonymise.sql }`)
    await writeFiles(options.cwd, { 'anonymise.sql': `${anonymise};\nselect 1 / 0;\n` })
    const failed = await json('up')
    expect(failed.json).toMatchObject({ exit_code: 40, error: { sqlstate: '22012', file: 'anonymise.sql', line: 2 } })
    await writeFiles(options.cwd, { 'anonymise.sql': `reset role; alter role ${owner} superuser;` })
    expect((await json('up')).json).toMatchObject({ error: { sqlstate: '42501' } })
    const home = open(target)
    expect(await home`select from pg_class where relname = 'users'`).toEqual([])
    await home.end()
    expect(await leftovers(target)).toEqual([])
  })

  test('without the file, or a backup, nothing is done', async ({ place }) => {
    const { json, configure, options, old } = place
    await writeFiles(options.cwd, { 'store/.keep': '' })
    await configure(`{ backup: latest, database: ${old}, after: missing.sql }`)
    expect((await json('up')).json.exit_code).toBe(2)
    await configure(`{ backup: latest, database: nothing_here }`)
    expect((await json('up')).json.exit_code).toBe(62)
  })
})

test('keys of one kind of import mean nothing for another', async ({ place }) => {
  for (const wrong of [
    '{ sqlite: a.db, backup: latest }',
    '{ backup: latest, exclude: [a.b] }',
    '{ sqlite: a.db, after: a.sql }',
    '{ url: { env: OLD_URL }, types: { a.b: int } }',
    '{ }',
  ]) {
    await place.configure(wrong)
    expect((await place.json('config', 'validate')).json.exit_code, wrong).toBe(2)
  }
})
