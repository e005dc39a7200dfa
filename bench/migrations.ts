import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Folders with the same migrations in the format of each program. */
export type Migrations = {
  count: number
  /** Tables they create. */
  tables: number
  /** Plain SQL files, in a folder `migrations`: pgbosun, umzug. */
  plain: string
  dbmate: string
  nodePgMigrate: string
  /** The folder that holds `.gmrc` and `migrations/`. */
  graphile: string
  /** One psql script that includes every file between BEGIN and COMMIT. */
  psql: string
}

/** Writes `count` small migrations: in turn a table with a key, an index, a column and a row. */
export function writeMigrations(dir: string, count: number): Migrations {
  const files = Array.from({ length: count }, (_, i) => statement(i))
  const folder = (...parts: string[]) => {
    const path = join(dir, ...parts)
    mkdirSync(path, { recursive: true })
    return path
  }
  const write = (path: string, render: (sql: string, name: string) => string) => {
    for (const [i, sql] of files.entries()) writeFileSync(join(path, `${nameOf(i)}.sql`), render(sql, nameOf(i)))
    return path
  }
  const plain = write(folder('plain', 'migrations'), (sql) => sql)
  const psql = join(dir, 'psql.sql')
  writeFileSync(psql, psqlScript(plain, files))
  writeGraphile(folder('graphile', 'migrations', 'committed'), files)
  writeFileSync(join(dir, 'graphile', '.gmrc'), '{}\n')
  return {
    count,
    tables: Math.ceil(count / 4),
    plain,
    dbmate: write(folder('dbmate'), (sql) => `-- migrate:up\n${sql}\n-- migrate:down\n`),
    nodePgMigrate: write(folder('node-pg-migrate'), (sql) => `-- Up Migration\n${sql}`),
    graphile: join(dir, 'graphile'),
    psql,
  }
}

function statement(i: number): string {
  const table = `item_${Math.floor(i / 4) + 1}`
  switch (i % 4) {
    case 0:
      return `create table ${table} (\n  id bigint generated always as identity primary key,\n  name text not null,\n  created_at timestamptz not null default now()\n);\n`
    case 1:
      return `create index ${table}_name on ${table} (name);\n`
    case 2:
      return `alter table ${table} add column note text;\n`
    default:
      return `insert into ${table} (name, note) values ('first', 'of ${table}');\n`
  }
}

/** Fourteen digits in front: all programs sort such names in the same way. */
const nameOf = (i: number) => `${20_250_101_000_000 + i + 1}_step_${i + 1}`

const psqlScript = (dir: string, files: string[]) =>
  [
    'create table history (name text primary key);',
    ...files.map(
      (_, i) =>
        `begin;\n\\i ${join(dir, `${nameOf(i)}.sql`)}\ninsert into history (name) values ('${nameOf(i)}');\ncommit;`,
    ),
    '',
  ].join('\n')

/** Committed migrations of graphile-migrate are a chain of hashes. */
function writeGraphile(dir: string, files: string[]): void {
  let previous = ''
  for (const [i, sql] of files.entries()) {
    const text = `${previous}\n${sql.trim()}`.trim()
    const hash = `sha1:${createHash('sha1').update(`${text}\n`).digest('hex')}`
    writeFileSync(
      join(dir, `${String(i + 1).padStart(6, '0')}.sql`),
      `--! Previous: ${previous || '-'}\n--! Hash: ${hash}\n\n${sql}`,
    )
    previous = hash
  }
}
