import { readdirSync, realpathSync } from 'node:fs'
import { type AppError, usage } from '../errors.ts'
import { isFolder, pathIn, readText } from './files.ts'
import type { Folder } from './read.ts'

/** So many are named. */
const namedFiles = 3

/** What graphile-migrate itself keeps beside its migrations. */
const workInProgress = /^current(\.sql|\/)/

/**
 * A folder without one migration, but with SQL in it or below, is not one with nothing to do: its files lie deeper than the format looks,
 * or have other names.
 * @throws {AppError} `usage`
 */
export function refuseUnread({ dir, dialect: { format }, files }: Folder): void {
  if (files.length > 0) return
  const found = sqlBelow(dir).filter((path) => format !== 'graphile-migrate' || !workInProgress.test(path))
  if (found.length > 0) throw nothingRead(dir, format, found)
}

function nothingRead(dir: string, format: string, found: string[]): AppError {
  const named = found.slice(0, namedFiles).join(', ')
  const more = found.length > namedFiles ? ` and ${found.length - namedFiles} more` : ''
  return usage(`no file in ${dir} is a migration in the format ${format}, but there is SQL: ${named}${more}`, {
    hint: `${advice(dir, found)}; \`migrate.allowEmpty: true\` where there are meant to be none`,
  })
}

function advice(dir: string, found: string[]): string {
  if (found.some((path) => /(^|\/)(up|down)\.sql$/.test(path)))
    return 'NAME/up.sql looks like diesel: let that run them (`migrate.command: [diesel, migration, run]`), or move them up as 001_NAME.sql'
  if (found.slice(0, namedFiles).some((path) => /^--\s*\+migrate\s/m.test(readText(pathIn(dir, path)))))
    return '`-- +migrate Up` looks like sql-migrate: let that run them (`migrate.command: [sql-migrate, up]`), or rewrite them'
  const deeper = found.find((path) => path.includes('/'))
  return deeper !== undefined && !found.some((path) => !path.includes('/'))
    ? 'set `migrate.dir` to the folder that they are in, or `migrate.format` to the tool whose files they are'
    : 'set `migrate.format` to the tool whose files they are, or name them as the format wants them'
}

/** Paths of the `.sql` files in a folder and below, relative to it, sorted; without dot names, and each folder once. */
export function sqlBelow(dir: string): string[] {
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
