import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { tableInUrl } from '../config/formats.ts'
import type { Config } from '../config/schema.ts'
import { usage } from '../errors.ts'
import type { ReadOptions } from '../formats/format.ts'
import { type Dirs, type Folder, readMigrations } from '../formats/read.ts'
import type { FormatName } from '../formats/types.ts'
import type { Db } from '../postgres/db.ts'
import { checkClientFiles } from '../programs/tls-files.ts'
import type { Context } from '../run/context.ts'
import type { MigrateTarget } from './target.ts'

/**
 * The databases that have migrations, in the order of the configuration, with the files of those whose format is known.
 *
 * @param options `needed`: the command is about migrations, so even a default folder must exist;
 *   `running`: it will run `migrate.command`, so that program must exist, and its certificates must find a place;
 *   `format`: overrides the configured format of the target database's own folder
 * @throws {AppError} `usage` for a missing folder that is configured or `needed`, for files that cannot be read, and for a missing
 *   program
 */
export async function migrateTargets(
  context: Context,
  { needed = false, running = false, format }: { needed?: boolean; running?: boolean; format?: FormatName } = {},
): Promise<MigrateTarget[]> {
  const targets = findTargets(context, needed)
  const main = mainTarget(targets)
  if (main && format) main.format = format
  for (const target of targets) {
    if (target.command && running) await findCommand(context, target.command)
    await readFolder(context, target, needed)
  }
  return targets
}

async function findCommand(context: Context, command: string[]): Promise<void> {
  const { refuseMissingProgram } = await import('./program/run.ts')
  refuseMissingProgram(context, command)
  checkClientFiles(context.connection())
}

/** The target of the target database; undefined when `--database` names a database without migrations. */
export const mainTarget = (targets: MigrateTarget[]) => targets.find(({ database }) => database === undefined)

/** The databases that have migrations, without looking at files. @throws {AppError} `usage` */
export function findTargets(context: Context, needed: boolean): MigrateTarget[] {
  const { config } = context.loaded
  const declared = Object.entries(config.databases).filter(([, database]) => database?.migrate)
  if (declared.length === 0 && !context.isTarget()) return needed ? notTarget(context) : []
  if (declared.length === 0) return [topLevel(context)]

  const target = context.connection().database
  const named = declared.map(([name, database]) =>
    name === target ? ofTarget(context, database!.migrate!) : fromKeys(context, name, database!.migrate!),
  )
  const hasMain = named.some(({ database }) => database === undefined)
  return hasMain || !context.isTarget() ? named : [topLevel(context), ...named]
}

type Keys = NonNullable<NonNullable<Config['databases'][string]>['migrate']>

const fromKeys = (
  { loaded }: Context,
  database: string | undefined,
  { dir, format, role, table, placeholders, allowEmpty }: Keys,
): MigrateTarget => ({
  database,
  dirs: [dir].flat().map((path) => resolve(loaded.baseDir, path)) as [string, ...string[]],
  format,
  role,
  table,
  placeholders,
  allowEmpty,
  command: undefined,
  folder: undefined,
})

function topLevel(context: Context): MigrateTarget {
  const { migrate } = context.loaded.config
  return { ...fromKeys(context, undefined, migrate), table: tableOf(context, migrate), command: migrate.command }
}

/** With one tool, the URL may name the table. */
const tableOf = (context: Context, { table, format }: Keys): string | undefined =>
  table ?? (format === tableInUrl || format === 'auto' ? connectionOrNone(context)?.historyTable : undefined)

/** @throws {AppError} `usage` when the target's migrations are configured in both places */
function ofTarget(context: Context, keys: Keys): MigrateTarget {
  const { origins } = context.loaded
  const twice = ['dir', 'format', 'role', 'table', 'command'].find((key) => origins.has(`migrate.${key}`))
  if (twice === undefined || !context.isTarget()) return fromKeys(context, undefined, keys)
  const name = context.connection().database
  throw usage(`the migrations of ${name} are configured twice: in migrate.${twice} and in databases.${name}.migrate`, {
    hint: `${name} is the target database: keep only one of them`,
  })
}

async function readFolder(context: Context, target: MigrateTarget, needed: boolean): Promise<void> {
  const { dirs, format, command, database } = target
  if (command) return
  const missing = missingIn(dirs)
  if (missing === undefined) {
    if (format !== 'auto') target.folder = await readFilesOf(target, format, readOptions(context, target))
    return
  }
  const named = database !== undefined || context.loaded.origins.has('migrate.dir')
  if (!needed && !named) return
  throw noFolder(missing, dirs)
}

/** The first of these folders that does not exist. */
export const missingIn = (dirs: Dirs): string | undefined => dirs.find((dir) => !existsSync(dir))

/** Exit 2, because the folder is not there. */
export const noFolder = (dir: string, [first]: Dirs) =>
  usage(`the migrations folder ${dir} does not exist`, {
    hint: /(^|\/)(filesystem|classpath):/.test(dir)
      ? 'write the path alone, without the prefix that Flyway has for its locations'
      : `set migrate.dir (PGBOSUN_MIGRATE_DIR), or create it${dir === first ? ' with `pgbosun migrate new NAME`' : ''}`,
  })

/**
 * The files of a target: those read before, or, with `format: auto`, read now that the database can be asked; from then on the
 * target has the format that was found. Undefined when there is no folder.
 * @param db undefined while the database does not exist
 */
export async function folderOf(
  context: Context,
  target: MigrateTarget,
  db: Db | undefined,
): Promise<Folder | undefined> {
  if (target.folder || target.format !== 'auto' || target.command) return target.folder
  const { detectFormatOf } = await import('./detect.ts')
  const options = readOptions(context, target)
  target.format = await detectFormatOf(context, target, db)
  if (missingIn(target.dirs) !== undefined) return undefined
  target.folder = await readFilesOf(target, target.format, options)
  return target.folder
}

/** @throws {AppError} `usage`, also for each folder with SQL files of which none is a migration of the format, unless that is allowed */
export async function readFilesOf(target: MigrateTarget, format: FormatName, options: ReadOptions): Promise<Folder> {
  const folder = await readMigrations(target.dirs, format, options)
  if (target.allowEmpty || (target.dirs.length === 1 && folder.files.length > 0)) return folder
  const { refuseUnread } = await import('../formats/unread.ts')
  refuseUnread(folder)
  return folder
}

/** What a format's files may refer to. Without a connection in the configuration, nothing of it; few formats ask. */
export function readOptions(context: Context, { placeholders, database }: MigrateTarget): ReadOptions {
  return {
    placeholders,
    get database() {
      return database ?? connectionOrNone(context)?.database
    },
    get user() {
      return connectionOrNone(context)?.user
    },
    environment: context.loaded.env,
  }
}

function connectionOrNone(context: Context) {
  try {
    return context.connection()
  } catch {
    return undefined
  }
}

/**
 * The target of a command that works on one database: the database of the run, which `--database` chooses.
 * @throws {AppError} `usage` when that has no migrations of its own, or another program migrates it
 */
export function onlyTarget({ command }: Context, targets: MigrateTarget[]): MigrateTarget {
  const target = mainTarget(targets)
  if (target && !target.command) return target
  throw usage(
    target
      ? `${command} works on migration files, but here migrate.command migrates the database`
      : `${command} needs a database with migrations`,
    { hint: target ? 'use that program instead' : 'choose one of those under `databases` with --database NAME' },
  )
}

/** Exit 2: the command is only about the target database. */
export function notTarget({ command, connection }: Context): never {
  throw usage(`${command} works in the target database, but --database names another: ${connection().database}`, {
    hint: 'leave out --database, or set the URL to that database',
  })
}
