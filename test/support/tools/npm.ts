import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { finished, folder, padded, type Source, succeed, type Tool } from './tool.ts'

const source = join(import.meta.dirname, '..', '..', 'tools')
const { dependencies } = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8')) as {
  dependencies: Record<string, string>
}

/** dbmate, node-pg-migrate and graphile-migrate are packages of npm: one folder has all three. */
const install = (name: string, program: string, tool: (packages: string) => Tool): Source => ({
  name: `${name} ${dependencies[name]}`,
  key: readFileSync(join(source, 'package-lock.json'), 'utf8'),
  async fill(dir) {
    for (const file of ['package.json', 'package-lock.json']) copyFileSync(join(source, file), join(dir, file))
    await succeed('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], dir)
  },
  tools(dir) {
    // npm leaves out a program that there is none of for this platform, and says nothing
    if (!existsSync(join(dir, 'node_modules', program)))
      throw new Error(`npm has not brought ${program}; to try again: rm -r ${dir}`)
    return [tool(join(dir, 'node_modules'))]
  },
})

const node = (script: string, args: string[], cwd: string, env: Record<string, string>) =>
  finished(process.execPath, [script, ...args], { cwd, env })

const dbmate = (program: string): Tool => ({
  format: 'dbmate',
  run: (args, { cwd, url }) =>
    finished(program, ['--migrations-dir', 'migrations', '--no-dump-schema', ...args], {
      cwd,
      env: { DATABASE_URL: `${url}?sslmode=disable` },
    }),
  up: ['up'],
  down: ['rollback'],
  nothing: /^$/,
  files: (parts) =>
    folder(parts, ({ up, down }, n) => ({
      [`${padded(n, 3)}_part.sql`]: `-- migrate:up\n${up}\n\n-- migrate:down\n${down}\n`,
    })),
  title: (n) => `${padded(n, 3)}_part`,
  history: 'select version from schema_migrations order by version',
})

const nodePgMigrate = (script: string): Tool => ({
  format: 'node-pg-migrate',
  run: (args, { cwd, url }) => node(script, args, cwd, { DATABASE_URL: url }),
  up: ['up'],
  down: ['down'],
  nothing: /No migrations to run!/,
  files: (parts) =>
    folder(parts, ({ up, down }, n) => ({
      [`${padded(n, 3)}_part.sql`]: `-- Up Migration\n${up}\n\n-- Down Migration\n${down}\n`,
    })),
  title: (n) => `${padded(n, 3)}_part`,
  history: 'select id, name from pgmigrations order by run_on, id',
})

const graphileMigrate = (script: string): Tool => ({
  format: 'graphile-migrate',
  // the shadow database is never touched by what we run; `status` wants its name
  run: (args, { cwd, url }) => node(script, args, cwd, { DATABASE_URL: url, SHADOW_DATABASE_URL: `${url}_shadow` }),
  up: ['migrate'],
  nothing: /Already up to date/,
  files(parts) {
    let previous: string | undefined
    const committed = folder(parts, ({ up }, n) => {
      const hash: string = `sha1:${createHash('sha1')
        .update(`${`${previous ?? ''}\n${up.trim()}`.trim()}\n`)
        .digest('hex')}`
      const text = `--! Previous: ${previous ?? '-'}\n--! Hash: ${hash}\n--! Message: part\n\n${up.trim()}\n`
      previous = hash
      return { [`committed/${padded(n, 6)}-part.sql`]: text }
    })
    return { '.gmrc': '{}\n', 'migrations/current.sql': '-- Enter migration here\n', ...committed }
  },
  title: (n) => `${padded(n, 6)}-part`,
  history: 'select hash, previous_hash, filename from graphile_migrate.migrations order by date',
})

const dbmateProgram = `@dbmate/${process.platform}-${process.arch}/bin/dbmate`

export const npmTools: Source[] = [
  install('dbmate', dbmateProgram, (packages) => dbmate(join(packages, dbmateProgram))),
  install('node-pg-migrate', 'node-pg-migrate/bin/node-pg-migrate.js', (packages) =>
    nodePgMigrate(join(packages, 'node-pg-migrate/bin/node-pg-migrate.js')),
  ),
  install('graphile-migrate', 'graphile-migrate/dist/cli.js', (packages) =>
    graphileMigrate(join(packages, 'graphile-migrate/dist/cli.js')),
  ),
]
