import type { Db, Sql } from '../postgres/db.ts'
import { type RunsAs, setPath } from '../postgres/search-path.ts'
import type { ServerError } from '../postgres/server-error.ts'
import { inTransaction } from '../postgres/transaction.ts'
import { quoteIdent, quoteLiteral } from '../sql/quote.ts'
import { setSettings } from '../sql/settings.ts'
import { copyFile } from './file.ts'
import { findRepeated, type Repeated } from './keys.ts'
import type { SeedTable } from './match.ts'
import { becomeRole } from './role.ts'
import { assignments, list, newValues, sameKey, stage, staged } from './row-sql.ts'
import { createStage } from './rows.ts'
import { findTarget } from './target.ts'
import type { RowsSeed } from './types.ts'

/** Which row of a file the server refused; rows are counted from 1. */
export type Culprit = {
  number: number
  /** An earlier row of the file has the same values in these columns. */
  repeated: (Repeated & { columns: string }) | undefined
}

/** As long as a person waits for a better message. */
const limit = '60s'

/**
 * Finds the row that a constraint refuses, because the server does not say it for rows that are written together: loads the file once more,
 * row by row and as the same role, in a transaction that is rolled back. Undefined if it was not found, or not for the same reason.
 */
export async function findCulprit(
  sql: Sql,
  seed: RowsSeed,
  error: ServerError,
  { role, path, urlSettings }: RunsAs,
): Promise<Culprit | undefined> {
  let found: Culprit | undefined
  const done = new Error('rolled back')
  await inTransaction(sql, async (tx) => {
    await tx.unsafe(`set local statement_timeout = '${limit}'`)
    if (role !== undefined) await becomeRole(tx, role)
    const target = await findTarget(tx, seed)
    if (urlSettings) await tx.unsafe(setSettings(urlSettings, 'local '))
    await createStage(tx, target, role)
    await copyFile(tx, seed, stage, target)
    await tx.unsafe(`set local pgbosun.culprit = ''; ${setPath(path, 'local ')}`)
    await checkAtOnce(tx, target, error)
    await tx.unsafe(`do ${quoteLiteral(oneByOne(target, seed.mode, error))}`)
    const [row] = await tx.unsafe<{ number: string }[]>(
      `select pg_catalog.current_setting('pgbosun.culprit') as number`,
    )
    const number = Number(row?.number)
    if (number > 0) found = { number, repeated: undefined }
    if (found && error.code === '23505') {
      // The index may need a column that the file does not have.
      const repeated = await readRepeated(tx, target, error).catch(() => undefined)
      if (repeated?.number === number) found.repeated = repeated
    }
    throw done
  }).catch((cause: unknown) => {
    if (cause !== done) throw cause
  })
  return found
}

/** A constraint that is checked at the end of a transaction is checked for each row. */
async function checkAtOnce(tx: Db, { table }: SeedTable, { constraint_name: name = '' }: ServerError): Promise<void> {
  const [deferred] = await tx.unsafe<{ name: string }[]>(`
    select pg_catalog.format('%I.%I', n.nspname, c.conname) as name
      from pg_catalog.pg_constraint c join pg_catalog.pg_namespace n on n.oid = c.connamespace
     where c.condeferrable and c.conrelid = pg_catalog.to_regclass(${quoteLiteral(table)}) and c.conname = ${quoteLiteral(name)}`)
  if (deferred) await tx.unsafe(`set constraints ${deferred.name} immediate`)
}

/**
 * A block in PL/pgSQL that writes row by row, and leaves in a setting the number of the first one that is refused for the same reason.
 * A row that is refused for another reason is left out: alone, it may lack a later one. The DETAIL of a whole row has its defaults, such
 * as the time.
 */
function oneByOne(
  target: SeedTable,
  mode: RowsSeed['mode'],
  { code, constraint_name = '', column_name = '', detail = '' }: ServerError,
): string {
  const { table, header, key, updated } = target
  const isNew = key.length === 0 ? 'true' : `r.${quoteIdent(key[0] ?? '')} is null`
  const insert = `insert into ${table} (${list(header)}) overriding system value values (${newValues(target, 'pgbosun_row')});`
  const update = `update ${table} r set ${assignments(target, 'pgbosun_row')}
    where ${key.map((column) => `r.${quoteIdent(column)} = pgbosun_row.${quoteIdent(column)}`).join(' and ')};`
  const updates = mode !== 'insert' && key.length > 0 && updated.length > 0
  const reason = { code, constraint: constraint_name, column: column_name, ...(!ofWholeRow.has(code) && { detail }) }
  const isSame = Object.entries(reason).map(
    ([name, text]) => `pgbosun_${name} operator(pg_catalog.=) ${quoteLiteral(text)}`,
  )
  return `
    #variable_conflict use_column
    declare
      pgbosun_row record; pgbosun_code text; pgbosun_constraint text; pgbosun_column text; pgbosun_detail text;
    begin
      for pgbosun_row in
        select s.pgbosun_n, ${isNew} as pgbosun_new, ${staged(target, 's')}
          from (select pg_catalog.row_number() over (order by ctid) as pgbosun_n, ${staged(target)} from ${stage}) s
          ${key.length === 0 ? '' : `left join ${table} r on ${sameKey(key)}`}
         order by s.pgbosun_n
      loop
        begin
          if pgbosun_row.pgbosun_new then ${insert} ${updates ? `else ${update}` : ''} end if;
        exception when integrity_constraint_violation then
          get stacked diagnostics pgbosun_code = returned_sqlstate, pgbosun_constraint = constraint_name,
            pgbosun_column = column_name, pgbosun_detail = pg_exception_detail;
          if ${isSame.join(' and ')} then
            perform pg_catalog.set_config('pgbosun.culprit', pgbosun_row.pgbosun_n::text, true);
            return;
          end if;
        end;
      end loop;
    end`
}

const ofWholeRow = new Set(['23502', '23514'])

/** The row that repeats the values of a unique index: its columns may be expressions, and only some rows may count. */
async function readRepeated(tx: Db, { table }: SeedTable, error: ServerError) {
  const [index] = await tx.unsafe<{ columns: string[]; where: string }[]>(`
    select (select pg_catalog.json_agg(pg_catalog.pg_get_indexdef(i.indexrelid, k, true) order by k)
              from pg_catalog.generate_series(1, i.indnkeyatts) k) as columns,
           coalesce(pg_catalog.pg_get_expr(i.indpred, i.indrelid), 'true') as where
      from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
     where i.indrelid = pg_catalog.to_regclass(${quoteLiteral(table)}) and c.relname = ${quoteLiteral(error.constraint_name ?? '')}`)
  if (!index) return undefined
  const row = await findRepeated(
    tx,
    index.columns.map((column) => `(${column})`),
    `(${index.where})`,
  )
  return row && { ...row, columns: index.columns.join(', ') }
}
