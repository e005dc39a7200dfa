import { globSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { cleanEnv } from '../scripts/sample.ts'
import type { Command } from './measure.ts'
import type { Migrations } from './migrations.ts'

const packages = join(import.meta.dirname, 'node_modules')

/** The program itself: npm's `dbmate` is a script that starts it. */
const dbmateBinary = () => {
  const [found] = globSync('@dbmate/*/bin/dbmate', { cwd: packages })
  if (found === undefined) throw new Error(`there is no dbmate under ${packages}`)
  return join(packages, found)
}

/** Our build. */
export const pgbosun = join(import.meta.dirname, '..', 'dist', 'pgbosun.cjs')

/** A command with nothing of the caller's own settings in its environment. */
export const command = (argv: string[], env: NodeJS.ProcessEnv = {}, cwd = packages): Command => ({
  argv,
  cwd,
  env: { ...cleanEnv(), ...env },
})

/** Node doing nothing: the time that every program written for it takes. */
export const bareNode = () => command([process.execPath, '-e', '0'])

/** Connects and runs the smallest query. */
export const psqlSelect = (url: string) => command(['psql', '-X', '-q', '-At', '-c', 'select 1', url])

/** A program that applies migrations, and its table of what was applied. */
export type Migrator = { name: string; history: string; up(url: string, migrations: Migrations): Command }

/** pgbosun, or another build of it if `program` is given. */
export const pgbosunUp = (name: string, program: string): Migrator => ({
  name,
  history: 'pgbosun.migrations',
  up: (url, { plain }) => command([process.execPath, program, 'migrate', 'up'], { DATABASE_URL: url }, dirname(plain)),
})

/** pgbosun on the folder and the history of dbmate. */
export const pgbosunAsDbmate: Migrator = {
  name: 'pgbosun, format dbmate',
  history: 'public.schema_migrations',
  up: (url, migrations) =>
    command([process.execPath, pgbosun, 'migrate', 'up'], {
      DATABASE_URL: url,
      PGBOSUN_MIGRATE_FORMAT: 'dbmate',
      PGBOSUN_MIGRATE_DIR: migrations.dbmate,
    }),
}

export const dbmate: Migrator = {
  name: 'dbmate',
  history: 'public.schema_migrations',
  up: (url, migrations) =>
    command([dbmateBinary(), '--url', url, '--migrations-dir', migrations.dbmate, '--no-dump-schema', 'migrate']),
}

export const nodePgMigrate: Migrator = {
  name: 'node-pg-migrate',
  history: 'public.pgmigrations',
  up: (url, migrations) =>
    command(
      [
        process.execPath,
        join(packages, 'node-pg-migrate/bin/node-pg-migrate.js'),
        'up',
        '-m',
        migrations.nodePgMigrate,
      ],
      { DATABASE_URL: url },
    ),
}

export const umzug: Migrator = {
  name: 'umzug',
  history: 'public.umzug_history',
  up: (url, { plain }) =>
    command([process.execPath, join(import.meta.dirname, 'peers/umzug.mjs'), plain], { DATABASE_URL: url }),
}

export const graphileMigrate: Migrator = {
  name: 'graphile-migrate',
  history: 'graphile_migrate.migrations',
  up: (url, { graphile }) =>
    command(
      [process.execPath, join(packages, 'graphile-migrate/dist/cli.js'), 'migrate'],
      { DATABASE_URL: url },
      graphile,
    ),
}

/** Not a migration tool: the least time for one transaction and four statements for each file. */
export const psqlScript: Migrator = {
  name: 'psql',
  history: 'public.history',
  up: (url, { psql }) => command(['psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', psql, url]),
}
