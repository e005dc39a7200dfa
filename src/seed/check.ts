import { statSync } from 'node:fs'
import { AppError } from '../errors.ts'
import type { Db } from '../postgres/db.ts'
import { quoteLiteral, quoteName } from '../sql/quote.ts'
import { arrangeSteps, type Reference } from './arrange.ts'
import { readColumns, rowsOf } from './file.ts'
import { readFingerprint } from './fingerprint.ts'
import { keyTwice, nullKey } from './keys.ts'
import { matchTable, type SeedTable, type Table } from './match.ts'
import { ofFile, ofTable, type SeedStep } from './plan.ts'
import { readTables } from './target.ts'
import type { LoadedSeed, RowsSeed, Seed } from './types.ts'

/**
 * Checks all seeds of a plan before the first one is loaded, and puts them into the order that their foreign keys need. What an SQL seed
 * of the plan may still create is left to the loading of the seeds after it.
 * @throws {AppError} `seed` when a file does not fit its table, or a small one has a key twice or a row without one
 */
export async function checkSteps(db: Db, steps: SeedStep[]): Promise<SeedStep[]> {
  const seeds = steps.map(({ seed }) => seed)
  const tables = await readTables(db, tablesOf(seeds))
  const headers = new Map<string, string[]>()
  let mayCreate = false
  for (const seed of seeds) {
    mayCreate ||= seed.kind === 'sql'
    if (seed.kind !== 'rows') continue
    const file = await readColumns(seed)
    headers.set(seed.name, file.columns)
    const table = tables.find(isTableOf(seed))
    if (!mayCreate || table) await refuseMisfit(seed, () => matchTable(seed, file, table), mayCreate)
  }
  const references = headers.size > 1 ? await readReferences(db, tables) : []
  return arrangeSteps(steps, references, headers)
}

async function refuseMisfit(seed: RowsSeed, match: () => SeedTable, mayChange: boolean): Promise<void> {
  let target: SeedTable
  try {
    target = match()
  } catch (error) {
    if (mayChange && error instanceof AppError) return
    throw error
  }
  if (target.key.length > 0 && statSync(seed.path).size <= smallBytes) await refuseKeys(seed, target)
}

const tablesOf = (seeds: readonly Seed[]) => seeds.flatMap((seed) => (seed.kind === 'rows' ? [seed.table] : []))

const isTableOf =
  ({ table }: RowsSeed) =>
  ({ schema, name }: Table) =>
    schema === table.schema && name === table.name

/** Longer files are checked by the server while they are loaded. */
const smallBytes = 1024 * 1024

/** Two keys that are the same text are the same key in every type. */
async function refuseKeys(seed: RowsSeed, { key, header }: SeedTable): Promise<void> {
  const seen = new Map<string, number>()
  for await (const row of rowsOf(seed, header, key)) {
    const values = key.map((column) => row.field(column)?.value)
    // The server tells more about a line with too few values.
    if (key.some((column) => row.field(column) === undefined)) return
    if (values.includes(undefined)) throw nullKey(seed, key, row.line)
    const text = JSON.stringify(values)
    const earlier = seen.get(text)
    if (earlier !== undefined) throw keyTwice(seed, key.join(', '), values.join(', '), row.line, earlier)
    seen.set(text, row.line)
  }
}

/** The foreign keys from one of these tables to another. */
async function readReferences(db: Db, tables: readonly Table[]): Promise<Reference[]> {
  const oids = tables.map(
    ({ schema, name }) => `pg_catalog.to_regclass(${quoteLiteral(quoteName(schema, name))})::pg_catalog.oid`,
  )
  return db.unsafe<Reference[]>(`
    select k.conname as name, k.condeferrable as deferrable,
           pg_catalog.json_build_object('schema', fn.nspname, 'name', f.relname) as "from",
           pg_catalog.json_build_object('schema', tn.nspname, 'name', t.relname) as "to",
           (select pg_catalog.json_agg(a.attname) from pg_catalog.pg_attribute a
             where a.attrelid = k.conrelid and a.attnum = any (k.conkey)) as columns
      from pg_catalog.pg_constraint k
      join pg_catalog.pg_class f on f.oid = k.conrelid join pg_catalog.pg_namespace fn on fn.oid = f.relnamespace
      join pg_catalog.pg_class t on t.oid = k.confrelid join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
     where k.contype = 'f' and k.conrelid <> k.confrelid
       and k.conrelid in (${oids.join(', ')}) and k.confrelid in (${oids.join(', ')})
     order by k.conname, k.oid`)
}

/**
 * Why `sync` has to compare: for each seed whose file is the same as when it was loaded, whether its table is, too. Writes nothing.
 * @param seeds with checksums
 */
export async function findDifferences(db: Db, seeds: Seed[], history: LoadedSeed[]): Promise<Map<string, string>> {
  const loaded = new Map(history.map(({ name, checksum }) => [name, checksum]))
  const synced = seeds.filter(
    (seed): seed is RowsSeed =>
      seed.kind === 'rows' && seed.mode === 'sync' && ofFile(loaded.get(seed.name) ?? '') === seed.checksum,
  )
  const tables = await readTables(db, tablesOf(synced))
  const differs = new Map<string, string>()
  for (const seed of synced) {
    const table = tables.find(isTableOf(seed))
    const print = table && (await readFingerprint(db, matchTable(seed, await readColumns(seed), table)))
    if (print === undefined) differs.set(seed.name, 'its table could not be read, and has to be compared')
    else if (print !== ofTable(loaded.get(seed.name)!)) differs.set(seed.name, 'its table was changed')
  }
  return differs
}
