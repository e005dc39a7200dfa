import { existsSync } from 'node:fs'
import { usage } from '../errors.ts'
import { detectFormat } from '../formats/detect.ts'
import { findHistories } from '../formats/find.ts'
import type { Format } from '../formats/format.ts'
import { openFormat } from '../formats/open.ts'
import { inspectFolder } from '../formats/peek.ts'
import { readHistoryBrief } from '../migrate/history/history-brief.ts'
import { isApplied, newestSeen, type Reading, type SeenMigration } from '../migrate/history/is-applied.ts'
import type { Db } from '../postgres/db.ts'
import type { Context } from '../run/context.ts'
import { defaultRole, mayBecome } from './owner.ts'
import { schemasOf } from './place.ts'
import { readAlembic, renderHeads } from './program/alembic.ts'
import type { MigrateTarget } from './target.ts'
import { readFilesOf, readOptions } from './targets.ts'

/** How far a schema is. `missing`: what it still lacks; empty when it is new enough. `note`: what may be the reason. */
export type SchemaProgress = { missing: string[]; current: string | undefined; note?: string | undefined }

/**
 * Compares the history in a database with the versions that are waited for. Reads only, and needs no files, unless none is named:
 * then every file of the folder is waited for. Revisions of Alembic are looked for where `migrate.command` is set, or where its table
 * is there and no history of the configured format.
 *
 * @param wanted versions as people write them; of Alembic's revisions one is enough, because it keeps no history
 * @throws {AppError} `usage` for what cannot be a version, `refused`, `history`
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

/** Where a history is looked for, and who reads it. */
type Where = { table: string | undefined; role: string | undefined; schemas: readonly string[] }

/** Who waits often has no configuration, and so the default format. */
async function otherHistory({ format }: MigrateTarget, db: Db, where: Where): Promise<string | undefined> {
  const other = (await findHistories(db, where)).find((history) => history.format !== format)
  return other && `but there is ${other.schema}.${other.table} of ${other.format}: is migrate.format right?`
}

/** Whose search_path tells where a history is. A role of the configuration that we may not become matters to others. */
async function readingRole(context: Context, target: MigrateTarget, db: Db): Promise<string | undefined> {
  if (target.role === undefined) return defaultRole(context, db, target)
  return (await mayBecome(db, target.role)) ? target.role : undefined
}

/** Undefined while `auto` has nothing to go by: the history may still come. */
async function formatOf({ format, dir }: MigrateTarget, db: Db, where: Where): Promise<Format | undefined> {
  if (format !== 'auto') return openFormat(format)
  const histories = (await findHistories(db, where)).filter((history) => history.format !== 'alembic')
  return histories.length > 0 ? openFormat(detectFormat(dir, inspectFolder(dir), histories).format) : undefined
}

/** golang-migrate keeps the newest version only, so it has to stand for all. */
function readingOf({ loaded }: Context, { keepsOnlyNewest, compare, policy }: Format): Reading {
  const outOfOrder = loaded.config.migrate.outOfOrder ?? policy.outOfOrder
  return { compare, ordered: keepsOnlyNewest || outOfOrder === 'error' }
}

function missingVersions(format: Format, rows: SeenMigration[], reading: Reading, wanted: string[]): string[] {
  return wanted.filter((text) => {
    const id = format.idOf(text.replace(/\.sql$/i, ''))
    if (id !== undefined) return !isApplied(id, rows, reading)
    // it may be a revision of Alembic, whose table is still to come
    if (rows.length === 0) return true
    throw usage(`${text} is not a version of ${format.name}`, {
      hint: 'name it as `pgbosun migrate status` does, or set migrate.format to the tool whose history it is',
    })
  })
}

/** Each file needs a row of its own. Repeatable ones do not count: an older pod would wait for its own version of them for ever. */
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

/** Alembic's table has no history: whether an older revision is behind the head, only the files could tell. */
async function atRevision(db: Db, where: Where, wanted: string[]): Promise<SchemaProgress> {
  const tables = await readAlembic(db, where)
  const heads = tables.flatMap((table) => table.heads)
  const current = tables.length === 0 ? undefined : renderHeads(heads)
  return { missing: wanted.some((revision) => heads.includes(revision)) ? [] : wanted, current }
}

/**
 * What can be known without a database: where no version is named there must be files to wait for.
 * @throws {AppError} `usage`
 */
export function refuseNothingToWaitFor({ dir, command }: MigrateTarget, wanted: string[]): void {
  if (wanted.length > 0) return
  if (command) {
    throw usage('name the revisions of Alembic that are new enough', {
      hint: '`pgbosun migrate wait-for REVISION…`, such as what `alembic heads` prints',
    })
  }
  if (existsSync(dir)) return
  throw usage(`no version is named, and there is no folder ${dir} whose files could be waited for`, {
    hint: '`pgbosun migrate wait-for VERSION`, or set migrate.dir',
  })
}
