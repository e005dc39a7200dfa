import { usage } from '../errors.ts'
import { detectFormat } from '../formats/detect.ts'
import { findHistories } from '../formats/find.ts'
import type { Format } from '../formats/format.ts'
import { openFormat } from '../formats/open.ts'
import { inspectFolders, namesOf } from '../formats/peek.ts'
import { readHistoryBrief } from '../migrate/history/history-brief.ts'
import { isApplied, newestSeen, type Reading, type SeenMigration } from '../migrate/history/is-applied.ts'
import type { Db } from '../postgres/db.ts'
import type { Context } from '../run/context.ts'
import { defaultRole, mayBecome } from './owner.ts'
import { schemasOf } from './place.ts'
import { readAlembic, renderHeads } from './program/alembic.ts'
import type { MigrateTarget } from './target.ts'
import { missingIn, readFilesOf, readOptions } from './targets.ts'

/** How far a schema is. `missing`: the versions it still lacks; empty when it is new enough. `note`: a possible reason. */
export type SchemaProgress = { missing: string[]; current: string | undefined; note?: string | undefined }

/**
 * Compares the history in a database with the versions that are waited for. Only reads, and needs no files unless no version is given:
 * then every file of the folder is waited for. Revisions of Alembic are looked up when `migrate.command` is set, or when its table
 * exists and there is no history of the configured format.
 *
 * @param wanted versions as people write them; one of Alembic's revisions is enough, because Alembic keeps no history
 * @throws {AppError} `usage` for text that cannot be a version, `refused`, `history`
 */
export async function readProgress(
  context: Context,
  target: MigrateTarget,
  db: Db,
  wanted: string[],
): Promise<SchemaProgress> {
  const role = await readingRole(context, target, db)
  const where = { table: target.table, role, schemas: await schemasOf(context, db, target, role) }
  if (target.command) return atRevision(db, where, wanted)
  const format = await formatOf(target, db, where)
  const rows = format ? await readHistoryBrief(db, format, where) : []
  if (rows.length === 0 && wanted.length > 0) {
    const alembic = await atRevision(db, { ...where, table: undefined }, wanted)
    if (alembic.current !== undefined) return alembic
  }
  if (!format) return { missing: wanted.length > 0 ? wanted : ['a history'], current: undefined }
  const reading = readingOf(context, format)
  const missing =
    wanted.length > 0
      ? missingVersions(format, rows, reading, wanted)
      : await missingFiles(context, target, format, rows)
  const note = rows.length === 0 ? await otherHistory(target, db, where) : undefined
  return { missing, current: newestSeen(rows, reading)?.name, note }
}

/** Where a history is looked up, and the role that reads it. */
type Where = { table: string | undefined; role: string | undefined; schemas: readonly string[] }

/** A pod that waits often has no configuration, and so the default format. */
async function otherHistory({ format }: MigrateTarget, db: Db, where: Where): Promise<string | undefined> {
  const other = (await findHistories(db, where)).find((history) => history.format !== format)
  return other && `but there is ${other.schema}.${other.table} of ${other.format}: is migrate.format right?`
}

/** The role whose search_path tells where a history is. A configured role that we may not SET ROLE to only matters to runs that write. */
async function readingRole(context: Context, target: MigrateTarget, db: Db): Promise<string | undefined> {
  if (target.role === undefined) return defaultRole(context, db, target)
  return (await mayBecome(db, target.role)) ? target.role : undefined
}

/** Undefined while `auto` finds no history, because one may still be created. */
async function formatOf({ format, dirs }: MigrateTarget, db: Db, where: Where): Promise<Format | undefined> {
  if (format !== 'auto') return openFormat(format)
  const histories = (await findHistories(db, where)).filter((history) => history.format !== 'alembic')
  return histories.length > 0
    ? openFormat(detectFormat(namesOf(dirs), inspectFolders(dirs), histories).format)
    : undefined
}

/** golang-migrate keeps only the newest version, so that one stands for all. */
function readingOf({ loaded }: Context, { keepsOnlyNewest, compare, policy }: Format): Reading {
  const outOfOrder = loaded.config.migrate.outOfOrder ?? policy.outOfOrder
  return { compare, ordered: keepsOnlyNewest || outOfOrder === 'error' }
}

function missingVersions(format: Format, rows: SeenMigration[], reading: Reading, wanted: string[]): string[] {
  return wanted.filter((text) => {
    const id = format.idOf(text.replace(/\.sql$/i, ''))
    if (id !== undefined) return !isApplied(id, rows, reading)
    // it may be a revision of Alembic, whose table does not exist yet
    if (rows.length === 0) return true
    throw usage(`${text} is not a version of ${format.name}`, {
      hint: 'write it as `pgbosun migrate status` shows it, or set migrate.format to the tool that writes the history',
    })
  })
}

/** Each file needs a row of its own. Repeatable files do not count: an older pod would wait for ever for its own version of them. */
async function missingFiles(
  context: Context,
  target: MigrateTarget,
  format: Format,
  rows: SeenMigration[],
): Promise<string[]> {
  target.folder ??= await readFilesOf(target, format.name, readOptions(context, target))
  const reading = { compare: format.compare, ordered: format.keepsOnlyNewest ?? false }
  return target.folder.files
    .filter(({ kind, id }) => kind === 'versioned' && !isApplied(id, rows, reading))
    .map(({ name }) => name)
}

/** Alembic's table has no history: only the files could tell whether a revision is older than the head. */
async function atRevision(db: Db, where: Where, wanted: string[]): Promise<SchemaProgress> {
  const tables = await readAlembic(db, where)
  const heads = tables.flatMap((table) => table.heads)
  const current = tables.length === 0 ? undefined : renderHeads(heads)
  return { missing: wanted.some((revision) => heads.includes(revision)) ? [] : wanted, current }
}

/**
 * What can be checked without a database: if no version is given, there must be files to wait for.
 * @throws {AppError} `usage`
 */
export function refuseNothingToWaitFor({ dirs, command }: MigrateTarget, wanted: string[]): void {
  if (wanted.length > 0) return
  if (command) {
    throw usage('migrate wait-for needs the revisions of Alembic that are new enough', {
      hint: 'run `pgbosun migrate wait-for REVISION…`, for example with what `alembic heads` prints',
    })
  }
  const missing = missingIn(dirs)
  if (missing === undefined) return
  throw usage(`no version is given, and there is no folder ${missing} with files to wait for`, {
    hint: 'run `pgbosun migrate wait-for VERSION`, or set migrate.dir',
  })
}
