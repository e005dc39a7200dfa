import { AppError } from '../errors.ts'
import type { Db } from '../postgres/db.ts'
import { counted } from '../units.ts'
import type { SeedTable } from './match.ts'
import { list, sameKey, stage } from './row-sql.ts'
import { renderCondition } from './scope.ts'
import type { RowsSeed } from './types.ts'

/** A share allows at least so many rows: of a small table it is less than one. */
const fewRows = 3

/**
 * Deletes the rows in the scope that the temporary table lacks; returns how many.
 * @throws {AppError} `seed` when they are more than the seed allows, before anything was deleted
 */
export async function deleteMissing(
  tx: Db,
  seed: RowsSeed,
  { table, key, scope, rivals }: SeedTable,
  accepted: boolean,
): Promise<number> {
  const inScope = scope ? renderCondition(scope, 'r') : 'true'
  const isMissing = `not exists (select from ${stage} s where ${sameKey(key)})`
  const [found] = await tx.unsafe<{ total: number; missing: number }[]>(`
    select pg_catalog.count(*)::float8 as total, pg_catalog.count(*) filter (where s.${list(key.slice(0, 1))} is null)::float8 as missing
      from (select ${list(key, 'r')} from ${table} r where ${inScope}) r left join ${stage} s on ${sameKey(key)}`)
  const { total = 0, missing = 0 } = found ?? {}
  if (missing === 0) return 0
  if (!accepted && missing > mostDeletes(seed, total)) throw tooMany(seed, missing, total)
  for (const rival of rivals) await refuseRival(tx, `${table} r where ${inScope} and ${isMissing}`, seed, rival)
  const { count } = await tx.unsafe(`delete from ${table} r where ${inScope} and ${isMissing}`)
  return count
}

type Rival = SeedTable['rivals'][number]

const disjoint = 'give each `scope` a condition that the rows of the other file do not meet'

/** The row is not only this seed's to delete: where the other one has it, both would undo each other at every run. */
async function refuseRival(tx: Db, doomed: string, { name: file }: RowsSeed, { name, text, scope }: Rival) {
  const count = await countRows(tx, `${doomed} and ${renderCondition(scope, 'r')}`)
  if (count === 0) return
  throw new AppError('seed', `${file} would delete ${counted(count, 'row')} in the scope of ${name}: ${text}`, {
    file,
    hint: disjoint,
  })
}

/**
 * Refuses rows that this transaction has written into what another seed alone stands for: that one would delete them.
 * @throws {AppError} `seed` naming both
 */
export async function refuseIntrusion(tx: Db, { name: file }: RowsSeed, { table, rivals }: SeedTable): Promise<void> {
  const written = 'r.xmin operator(pg_catalog.=) pg_catalog.pg_current_xact_id()::pg_catalog.xid'
  for (const { name, text, scope } of rivals) {
    const count = await countRows(tx, `${table} r where ${written} and ${renderCondition(scope, 'r')}`)
    if (count > 0)
      throw new AppError(
        'seed',
        `${file} has written ${counted(count, 'row')} in the scope of ${name}, which would delete ${count === 1 ? 'it' : 'them'}: ${text}`,
        { file, hint: disjoint },
      )
  }
}

async function countRows(tx: Db, from: string): Promise<number> {
  const [found] = await tx.unsafe<{ count: number }[]>(`select pg_catalog.count(*)::float8 as count from ${from}`)
  return found?.count ?? 0
}

function mostDeletes({ maxDeletes }: RowsSeed, total: number): number {
  if ('rows' in maxDeletes) return maxDeletes.rows
  return maxDeletes.percent === 0 ? 0 : Math.max(fewRows, Math.floor((total * maxDeletes.percent) / 100))
}

function tooMany({ name: file, table, maxDeletes, scope }: RowsSeed, missing: number, total: number) {
  const limit = 'rows' in maxDeletes ? counted(maxDeletes.rows, 'row') : `${maxDeletes.percent} %`
  return new AppError(
    'seed',
    `${file}: ${counted(missing, 'row')} of ${total} in ${table.schema}.${table.name}${scope === undefined ? '' : ', as far as in scope,'} would be deleted, but \`maxDeletes\` is ${limit}`,
    {
      file,
      hint: 'if the file is right: `pgbosun seed --accept-deletes`, or raise `maxDeletes`',
    },
  )
}
