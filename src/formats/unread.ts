import { readdirSync, realpathSync } from 'node:fs'
import { type AppError, usage } from '../errors.ts'
import { someOf } from '../units.ts'
import { isFolder, pathIn, readText } from './files.ts'
import type { Folder } from './read.ts'

/** How many files are read to find out whose they are. */
const lookedAt = 3

/** What graphile-migrate keeps beside its committed migrations. */
const workInProgress = /^current(\.sql|\/)/

/**
 * A folder without migrations, if only one of several, but with SQL files in it or below it, must not look empty: the files are deeper than the format looks,
 * or have other names.
 * @throws {AppError} `usage`
 */
export function refuseUnread({ dirs, format: { name: format }, files }: Folder): void {
  for (const dir of dirs) {
    if (files.some(({ path }) => path.startsWith(pathIn(dir, '')))) continue
    const found = sqlBelow(dir).filter((path) => format !== 'graphile-migrate' || !workInProgress.test(path))
    if (found.length > 0) throw nothingRead(dir, format, found)
  }
}

function nothingRead(dir: string, format: string, found: string[]): AppError {
  return usage(`no file in ${dir} is a migration in the format ${format}, but there is SQL: ${someOf(found)}`, {
    report: { files: found },
    hint: `${advice(dir, found)}; if there should be none, set \`migrate.allowEmpty: true\``,
  })
}

function advice(dir: string, found: string[]): string {
  if (found.some((path) => /(^|\/)(up|down)\.sql$/.test(path)))
    return 'NAME/up.sql looks like diesel: let diesel run them (`migrate.command: [diesel, migration, run]`), or move them up as 001_NAME.sql'
  if (found.slice(0, lookedAt).some((path) => /^--\s*\+migrate\s/m.test(readText(pathIn(dir, path)))))
    return '`-- +migrate Up` looks like sql-migrate: let sql-migrate run them (`migrate.command: [sql-migrate, up]`), or rewrite them'
  const deeper = found.find((path) => path.includes('/'))
  return deeper !== undefined && !found.some((path) => !path.includes('/'))
    ? 'set `migrate.dir` to the folder with the files, or `migrate.format` to the tool that they belong to'
    : 'set `migrate.format` to the tool that the files belong to, or name them as the format requires'
}

/** Paths of the `.sql` files in a folder and below it, relative to it, sorted; without names that start with a dot, each folder once. */
function sqlBelow(dir: string): string[] {
  const seen = new Set<string>()
  const visit = (path: string, prefix: string): string[] => {
    const real = realpathSync(path)
    if (seen.has(real)) return []
    seen.add(real)
    return readdirSync(path)
      .filter((name) => !name.startsWith('.') && name !== 'node_modules')
      .sort()
      .flatMap((name) => {
        if (isFolder(pathIn(path, name))) return visit(pathIn(path, name), `${prefix}${name}/`)
        return /\.sql$/i.test(name) ? [`${prefix}${name}`] : []
      })
  }
  return visit(dir, '')
}
