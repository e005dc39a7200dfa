import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { finished, folder, padded, type Source, succeed, type Tool } from './tool.ts'

/** Where Go's own installer puts it, if it is not on the PATH. */
const go = existsSync('/usr/local/go/bin/go') ? '/usr/local/go/bin/go' : 'go'

/** A command of a Go module, compiled here. */
const compiled = (
  name: string,
  path: string,
  { version, tags }: Record<string, string>,
  tool: Tool['format'],
): Source => {
  const key = `${path}@v${version}`
  const program = path.slice(path.lastIndexOf('/') + 1)
  return {
    name: `${name} ${version}`,
    full: true,
    key,
    fill: async (dir) => {
      await succeed(go, ['install', '-tags', tags ?? '', key], dir, { GOBIN: dir })
    },
    tools: (dir) => [tool === 'goose' ? goose(join(dir, program)) : golangMigrate(join(dir, program))],
  }
}

const goose = (program: string): Tool => ({
  format: 'goose',
  run: (args, { cwd, url }) =>
    finished(program, ['-dir', 'migrations', 'postgres', `${url}?sslmode=disable`, ...args], { cwd, env: {} }),
  up: ['up'],
  down: ['down'],
  nothing: /no migrations to run/,
  files: (parts) =>
    folder(parts, ({ up, down }, n) => ({
      [`${padded(n, 5)}_part.sql`]: `-- +goose Up\n${asStatements(up)}\n\n-- +goose Down\n${asStatements(down)}\n`,
    })),
  title: (n) => `${padded(n, 5)}_part`,
  history: 'select id, version_id::int as version, is_applied from goose_db_version order by id',
})

/** goose cuts at a semicolon that ends a line, which the body of a function must be kept from. */
const asStatements = (text: string) =>
  text.includes('$body$') ? `-- +goose StatementBegin\n${text}\n-- +goose StatementEnd` : text

const golangMigrate = (program: string): Tool => ({
  format: 'golang-migrate',
  run: (args, { cwd, url }) =>
    finished(program, ['-path', 'migrations', '-database', `${url}?sslmode=disable`, ...args], { cwd, env: {} }),
  up: ['up'],
  down: ['down', '1'],
  nothing: /^no change$/m,
  files: (parts) =>
    folder(parts, ({ up, down }, n) => ({
      [`${padded(n, 6)}_part.up.sql`]: `${up}\n`,
      [`${padded(n, 6)}_part.down.sql`]: `${down}\n`,
    })),
  title: (n) => `${padded(n, 6)}_part`,
  history: 'select version::int, dirty from schema_migrations',
  ambiguous: true,
})

/** The other databases are left out: they are most of what has to be compiled. */
const withoutOthers = 'no_clickhouse no_libsql no_mssql no_mysql no_sqlite3 no_vertica no_ydb no_duckdb'

export const goTools: Source[] = [
  compiled('goose', 'github.com/pressly/goose/v3/cmd/goose', { version: '3.30.0', tags: withoutOthers }, 'goose'),
  compiled(
    'golang-migrate',
    'github.com/golang-migrate/migrate/v4/cmd/migrate',
    { version: '4.20.1', tags: 'postgres' },
    'golang-migrate',
  ),
]
