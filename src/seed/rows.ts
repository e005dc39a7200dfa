import type { Db } from '../postgres/db.ts'
import { pinPath, type RunsAs, setPath } from '../postgres/search-path.ts'
import { advanceSequences } from '../postgres/sequences.ts'
import { quoteIdent } from '../sql/quote.ts'
import { setSettings } from '../sql/settings.ts'
import { copyFile, type OnBytes } from './file.ts'
import { fingerprintOfCompared, fingerprintOfCopied } from './fingerprint.ts'
import { refuseKeys, refuseNullKey, refuseOutOfScope } from './keys.ts'
import { becomeRole } from './role.ts'
import { assignments, delta, differs, given, list, newValues, sameKey, stage, staged } from './row-sql.ts'
import { deleteMissing, refuseIntrusion } from './sync.ts'
import { findTarget, type Target } from './target.ts'
import type { RowsSeed, Written } from './types.ts'

export type LoadOptions = {
  place: RunsAs
  /** Whether `sync` may delete however many rows. */
  acceptDeletes: boolean
  /** Whether the transaction loads other seeds, too. */
  together?: boolean
  onBytes?: OnBytes | undefined
}

/** `print`: with `sync`, what the table is like now. */
export type Loaded = { target: Target; print?: string }

/**
 * Loads a file of rows, in a transaction that already acts as the role of `place`; returns what was written.
 * Into an empty table the rows are copied directly. Otherwise they go to a temporary table first, and only those that are new or
 * differ are written: rows that exist already cause neither a write nor a lock, and use up no value of a sequence.
 */
export async function loadRows(tx: Db, seed: RowsSeed, options: LoadOptions): Promise<Written & Loaded> {
  const target = await findTarget(tx, seed)
  // a file of no rows, for a table without a key
  if (target.header.length === 0) return { inserted: 0, updated: 0, deleted: 0, target }
  // The settings of the URL also decide how dates are read.
  if (options.place.urlSettings) await tx.unsafe(setSettings(options.place.urlSettings, 'local '))
  const direct = (target.empty || target.key.length === 0) && !target.sparse && !target.scope
  const written = direct
    ? await copyDirectly(tx, seed, target, options)
    : await copyAndCompare(tx, seed, target, options)
  if (written.inserted + written.updated > 0) {
    await advanceSequences(tx, target)
    // What other seeds of the same transaction have written cannot be told apart.
    if (!options.together) await refuseIntrusion(tx, seed, target)
  }
  return { ...written, target }
}

type Result = Written & Pick<Loaded, 'print'>

async function copyDirectly(tx: Db, seed: RowsSeed, target: Target, { onBytes }: LoadOptions): Promise<Result> {
  const inserted = await copyFile(tx, seed, target.table, target, onBytes)
  await refuseNullKey(tx, seed, target, target.table)
  const written = { inserted, updated: 0, deleted: 0 }
  return seed.mode === 'sync' ? { ...written, print: await fingerprintOfCopied(tx, target) } : written
}

async function copyAndCompare(
  tx: Db,
  seed: RowsSeed,
  target: Target,
  { place, acceptDeletes, together = false, onBytes }: LoadOptions,
): Promise<Result> {
  await createStage(tx, target, place.role)
  // Enough for the hash table of a million rows; with the default of 4 MB the server would use the disk.
  await tx.unsafe("set local work_mem = '64MB'")
  await copyFile(tx, seed, stage, target, onBytes)
  await refuseKeys(tx, seed, target)

  // Compare keys as the application does: the `=` of a type such as citext is found in the schema of its extension.
  await tx.unsafe(setPath(place.path, 'local '))
  await refuseOutOfScope(tx, seed, target, false)
  const deleted = seed.mode === 'sync' ? await deleteMissing(tx, seed, target, acceptDeletes) : 0
  const { count } = await tx.unsafe(`insert into ${delta} ${differencesOf(target, seed.mode)}`)
  const { count: updated } =
    count > 0 && target.key.length > 0 && target.updated.length > 0 ? await tx.unsafe(updateOf(target)) : { count: 0 }
  const { count: inserted } = count > 0 ? await insertNew(tx, target) : { count: 0 }
  if (count > 0) await tx.unsafe(setPath(place.path, 'local '))
  await refuseOutOfScope(tx, seed, target, true)
  const print = seed.mode === 'sync' ? await fingerprintOfCompared(tx, target) : undefined
  await tx.unsafe(pinPath)
  if (together) await asCreator(tx, target, place.role, `drop table ${stage}, ${delta}`)
  return { inserted, updated, deleted, ...(print !== undefined && { print }) }
}

/** The defaults of columns that some rows lack are written without our own path. */
async function insertNew(tx: Db, target: Target) {
  await tx.unsafe(pinPath)
  return tx.unsafe(insertOf(target))
}

export async function createStage(
  tx: Db,
  target: Pick<Target, 'table' | 'header' | 'sparse' | 'temporary'>,
  role: string | undefined,
): Promise<void> {
  const { table, header, sparse, temporary } = target
  const columns = `${list(header)}${sparse ? `, ''::pg_catalog.text as ${given}` : ''}`
  const create = `
    create temporary table pgbosun_stage on commit drop as select ${columns} from ${table} with no data;
    create temporary table pgbosun_delta on commit drop as select true as pgbosun_new, ${columns} from ${table} with no data;`
  const grant = temporary || role === undefined ? '' : `grant all on ${stage}, ${delta} to ${quoteIdent(role)}`
  await asCreator(tx, target, role, create + grant)
}

/** The temporary tables are created as the role that writes the rows; if that role lacks TEMPORARY on this database, as the session user, who then grants it access. */
async function asCreator(tx: Db, { temporary }: Pick<Target, 'temporary'>, role: string | undefined, text: string) {
  if (temporary || role === undefined) await tx.unsafe(text)
  else {
    await tx.unsafe(`set local role none; ${text}`)
    await becomeRole(tx, role)
  }
}

function differencesOf(target: Target, mode: RowsSeed['mode']): string {
  const { table, key, updated } = target
  if (key.length === 0) return `select true, ${staged(target)} from ${stage}`
  const isNew = `r.${quoteIdent(key[0] ?? '')} is null`
  return `
    select ${isNew}, ${staged(target, 's')} from ${stage} s left join ${table} r on ${sameKey(key)}
     where ${isNew} ${mode !== 'insert' && updated.length > 0 ? `or ${differs(target)}` : ''}`
}

const updateOf = (target: Target) => `
  update ${target.table} as r set ${assignments(target, 's')}
    from ${delta} s where ${sameKey(target.key)} and not s.pgbosun_new`

const insertOf = (target: Target) => `
  insert into ${target.table} (${list(target.header)}) overriding system value
  select ${newValues(target, 's')} from ${delta} s where s.pgbosun_new`
