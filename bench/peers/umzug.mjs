// `up` with umzug 3 and pg, as its documentation describes it for SQL files: node umzug.mjs FOLDER, with DATABASE_URL.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { Umzug } from 'umzug'

const client = new pg.Client({ connectionString: process.env.DATABASE_URL })
await client.connect()
await client.query('create table if not exists umzug_history (name text primary key)')

const umzug = new Umzug({
  migrations: {
    glob: join(process.argv[2], '*.sql'),
    resolve: ({ name, path, context }) => ({ name, up: () => context.query(readFileSync(path, 'utf8')) }),
  },
  context: client,
  storage: {
    executed: async () =>
      (await client.query('select name from umzug_history order by name')).rows.map(({ name }) => name),
    logMigration: ({ name }) => client.query('insert into umzug_history (name) values ($1)', [name]),
    unlogMigration: ({ name }) => client.query('delete from umzug_history where name = $1', [name]),
  },
  logger: undefined,
})
await umzug.up()
await client.end()
