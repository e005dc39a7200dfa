import { AppError } from '../../errors.ts'
import type { Db } from '../../postgres/db.ts'
import { folded, tokensOf } from '../../sql/lex.ts'
import { quoteLiteral } from '../../sql/quote.ts'

/** The parts of a CREATE INDEX CONCURRENTLY. Names as in the SQL. */
export type ConcurrentIndex = { name: string | undefined; table: string }

/** The index that a statement builds concurrently; undefined for any other statement. */
export function concurrentIndexOf(text: string): ConcurrentIndex | undefined {
  const tokens = tokensOf(text, 0, text.length)
  const at = tokens.indexOf('concurrently')
  if (tokens[0] !== 'create' || tokens[at - 1] !== 'index') return undefined
  const rest = tokens.slice(at + 1)
  const named = rest[0] === 'if' ? rest.slice(3) : rest
  const on = named[0] === 'on' ? 0 : 1
  if (named[on] !== 'on') return undefined
  const table = named.slice(named[on + 1] === 'only' ? on + 2 : on + 1)
  const qualified = table[1] === '.' ? `${table[0]}.${table[2]}` : (table[0] ?? '')
  return { name: on === 0 ? undefined : named[0], table: qualified }
}

/** An index, as returned by {@link indexesOf}. `drop`: the statement that drops it; `busyPid`: the backend that is building it. */
export type FoundIndex = { name: string; drop: string; valid: boolean; busyPid: number | null }

/** The indexes of the table, which is looked up with this session's search_path. */
export const indexesOf = (db: Db, { table }: ConcurrentIndex): Promise<FoundIndex[]> =>
  findIndexes(db, `i.indrelid = pg_catalog.to_regclass(${quoteLiteral(table)})`)

async function findIndexes(db: Db, where: string): Promise<FoundIndex[]> {
  const [row] = await db.unsafe<{ found: FoundIndex[] }[]>(
    `select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
              'name', c.relname, 'valid', i.indisvalid,
              'drop', pg_catalog.format('drop index concurrently if exists %I.%I', n.nspname, c.relname),
              'busyPid', (select pg_catalog.min(p.pid) from pg_catalog.pg_stat_progress_create_index p where p.index_relid = c.oid)) order by c.relname), '[]') as found
       from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where ${where}`,
  )
  return row?.found ?? []
}

/** The name as in the catalog. */
const catalogName = (identifier: string) =>
  truncated(identifier.startsWith('"') ? identifier.slice(1, -1).replaceAll('""', '"') : folded(identifier))

/** Cut to 63 bytes, between characters, as the server does it. */
function truncated(name: string): string {
  const bytes = Buffer.from(name)
  let end = Math.min(bytes.length, 63)
  while (end < bytes.length && (bytes[end]! & 0xc0) === 0x80) end--
  return bytes.toString('utf8', 0, end)
}

/**
 * The invalid indexes that a failed or interrupted attempt to build an index left behind: those with its name; or, if the statement
 * gives no name, those that did not exist `before`.
 */
export const leftBy = ({ name }: ConcurrentIndex, found: FoundIndex[], before: string[] | undefined): FoundIndex[] =>
  found.filter(
    (index) =>
      !index.valid && (name === undefined ? before && !before.includes(index.name) : index.name === catalogName(name)),
  )

/** The index that an interrupted attempt completed: it is valid, and did not exist `before`. */
export const builtBy = (
  { name }: ConcurrentIndex,
  found: FoundIndex[],
  before: string[] | undefined,
): FoundIndex | undefined =>
  found.find(
    (index) =>
      index.valid &&
      (name === undefined ? before !== undefined : index.name === catalogName(name)) &&
      !before?.includes(index.name),
  )

/**
 * Drops the indexes that an earlier attempt left behind.
 * @returns their names
 * @throws {AppError} `locked` if another session is still building one of them
 */
export async function dropLeftovers(db: Db, left: FoundIndex[]): Promise<string[]> {
  for (const { name, drop, busyPid } of left) {
    if (busyPid !== null) {
      throw new AppError('locked', `another session (pid ${busyPid}) is still building the index ${name}`, {
        hint: `wait until it has finished, or end it with \`select pg_catalog.pg_terminate_backend(${busyPid})\`, and run this again`,
      })
    }
    await db.unsafe(drop)
  }
  return left.map(({ name }) => name)
}

/**
 * What to do with any other statement that an interrupted run started: `done` if the database shows that it finished, a statement
 * that completes it, or undefined to run it again.
 */
export async function resumeOther(db: Db, text: string): Promise<'done' | string | undefined> {
  const tokens = tokensOf(text, 0, text.length)
  const [first, second] = tokens
  if ((first === 'create' || first === 'drop') && (second === 'database' || second === 'tablespace')) {
    const name = tokens.slice(2).find((token) => token !== 'if' && token !== 'not' && token !== 'exists') ?? ''
    const catalog = second === 'database' ? 'pg_database where datname' : 'pg_tablespace where spcname'
    const there = await exists(db, `select from pg_catalog.${catalog} = ${quoteLiteral(catalogName(name))}`)
    return there === (first === 'create') ? 'done' : undefined
  }
  if (first === 'drop' && second === 'index') {
    const names = listAfter(tokens, 'concurrently')
    return (await exists(
      db,
      names.map((name) => `select where pg_catalog.to_regclass(${quoteLiteral(name)}) is not null`).join(' union all '),
    ))
      ? undefined
      : 'done'
  }
  await dropLeftovers(db, await transientOf(db, text))
  return first === 'alter' ? detachState(db, tokens) : undefined
}

/**
 * The statement that completes a DETACH PARTITION CONCURRENTLY that stopped between its two transactions. Undefined for any other
 * statement, and if there is nothing to complete.
 */
export async function finishOf(db: Db, text: string): Promise<string | undefined> {
  const tokens = tokensOf(text, 0, text.length)
  if (tokens[0] !== 'alter' || tokens.at(-1) !== 'concurrently') return undefined
  const state = await detachState(db, tokens)
  return state === 'done' ? undefined : state
}

/**
 * The invalid indexes that a REINDEX CONCURRENTLY left behind when it failed or was interrupted: it builds copies named `…_ccnew`,
 * also of TOAST indexes. None for any other statement.
 */
export async function transientOf(db: Db, text: string): Promise<FoundIndex[]> {
  const tokens = tokensOf(text, 0, text.length)
  if (tokens[0] !== 'reindex' || !tokens.includes('concurrently')) return []
  const [kind = '', ...rest] = tokens.slice(tokens[1] === '(' ? tokens.indexOf(')') + 1 : 1)
  const name = rest.filter((token, i) => i > 0 || token !== 'concurrently').join('')
  return findIndexes(db, `not i.indisvalid and c.relname ~ '_cc(new|old)[0-9]*$'${reindexed(kind, name)}`)
}

/** A condition for the indexes that the REINDEX rebuilds. */
function reindexed(kind: string, name: string): string {
  if (kind === 'database' || kind === 'system') return ''
  if (kind === 'schema') {
    const tables = `select oid, reltoastrelid from pg_catalog.pg_class where relnamespace = pg_catalog.to_regnamespace(${quoteLiteral(name)})`
    return ` and i.indrelid in (select pg_catalog.unnest(array[oid, reltoastrelid]) from (${tables}) t)`
  }
  const found = `pg_catalog.to_regclass(${quoteLiteral(name)})`
  const table = `select coalesce((select indrelid from pg_catalog.pg_index where indexrelid = ${found}), ${found})`
  return ` and i.indrelid in (
    select pg_catalog.unnest(array[t.oid, t.reltoastrelid]) from pg_catalog.pg_class t
     where t.oid = (${table}) or t.oid in (select relid from pg_catalog.pg_partition_tree((${table}))))`
}

/** The names that follow a word, up to CASCADE or RESTRICT. */
function listAfter(tokens: string[], word: string): string[] {
  const rest = tokens
    .slice(tokens.indexOf(word) + 1)
    .filter((token, i, all) => !(token === 'if' || (token === 'exists' && all[i - 1] === 'if')))
  const end = rest.findIndex((token) => token === 'cascade' || token === 'restrict')
  return (end === -1 ? rest : rest.slice(0, end)).join('').split(',')
}

const exists = async (db: Db, query: string) =>
  (await db.unsafe<{ found: boolean }[]>(`select exists (${query}) as found`))[0]?.found ?? false

/** A DETACH PARTITION CONCURRENTLY that was interrupted between its two transactions must be finalized. Servers before 14 do not have it. */
async function detachState(db: Db, tokens: string[]): Promise<'done' | string | undefined> {
  const at = tokens.indexOf('detach')
  if (at === -1) return undefined
  const child = tokens.slice(at + 2, tokens.indexOf('concurrently', at)).join('')
  const [row] = await db.unsafe<{ pending: boolean }[]>(
    `select coalesce((pg_catalog.to_jsonb(i) ->> 'inhdetachpending')::boolean, false) as pending
       from pg_catalog.pg_inherits i where inhrelid = pg_catalog.to_regclass(${quoteLiteral(child)})`,
  )
  if (!row) return 'done'
  return row.pending ? `${tokens.slice(0, at).join(' ')} detach partition ${child} finalize` : undefined
}
