import { AppError } from '../../errors.ts'
import type { Db } from '../../postgres/db.ts'
import { folded, tokensOf } from '../../sql/lex.ts'
import { quoteLiteral } from '../../sql/quote.ts'

/** CREATE INDEX CONCURRENTLY, taken apart. Names as SQL. */
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

/** An index of a table as {@link indexesOf} finds it. `busyPid`: the backend that is building it. */
export type FoundIndex = { name: string; drop: string; valid: boolean; busyPid: number | null }

/** Indexes of the table, as this session's search_path finds it. */
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

/** The name as the catalog has it. */
const catalogName = (identifier: string) =>
  truncated(identifier.startsWith('"') ? identifier.slice(1, -1).replaceAll('""', '"') : folded(identifier))

/** To 63 bytes, between characters, as the server does it. */
function truncated(name: string): string {
  const bytes = Buffer.from(name)
  let end = Math.min(bytes.length, 63)
  while (end < bytes.length && (bytes[end]! & 0xc0) === 0x80) end--
  return bytes.toString('utf8', 0, end)
}

/**
 * What stands in the way of building an index because an earlier attempt failed or was interrupted: invalid indexes of its name,
 * or of any name that was not there `before` when it has none of its own.
 */
export const leftBy = ({ name }: ConcurrentIndex, found: FoundIndex[], before: string[] | undefined): FoundIndex[] =>
  found.filter(
    (index) =>
      !index.valid && (name === undefined ? before && !before.includes(index.name) : index.name === catalogName(name)),
  )

/** The index that an interrupted attempt finished: it is valid, and was not there `before`. */
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
 * Drops what an earlier attempt left.
 * @returns the names
 * @throws {AppError} `locked` when another session is still building one of them
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
 * What to do with another statement that was begun by an interrupted run: `done` when the database shows that it had
 * finished, another statement that completes it, or undefined to run it again.
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
 * What completes a statement that an earlier attempt failed to complete: DETACH PARTITION CONCURRENTLY between its two
 * transactions. Undefined for any other statement, and when there is nothing to complete.
 */
export async function finishOf(db: Db, text: string): Promise<string | undefined> {
  const tokens = tokensOf(text, 0, text.length)
  if (tokens[0] !== 'alter' || tokens.at(-1) !== 'concurrently') return undefined
  const state = await detachState(db, tokens)
  return state === 'done' ? undefined : state
}

/**
 * REINDEX CONCURRENTLY builds copies named `…_ccnew`, also of what TOAST needs, and leaves them, invalid, when it fails or is
 * interrupted. None for any other statement.
 */
export async function transientOf(db: Db, text: string): Promise<FoundIndex[]> {
  const tokens = tokensOf(text, 0, text.length)
  if (tokens[0] !== 'reindex' || !tokens.includes('concurrently')) return []
  const [kind = '', ...rest] = tokens.slice(tokens[1] === '(' ? tokens.indexOf(')') + 1 : 1)
  const name = rest.filter((token, i) => i > 0 || token !== 'concurrently').join('')
  return findIndexes(db, `not i.indisvalid and c.relname ~ '_cc(new|old)[0-9]*$'${reindexed(kind, name)}`)
}

/** Condition for the indexes that REINDEX works on. */
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

/** Names behind a word, up to the next word that is not part of a name. */
function listAfter(tokens: string[], word: string): string[] {
  const rest = tokens
    .slice(tokens.indexOf(word) + 1)
    .filter((token, i, all) => !(token === 'if' || (token === 'exists' && all[i - 1] === 'if')))
  const end = rest.findIndex((token) => token === 'cascade' || token === 'restrict')
  return (end === -1 ? rest : rest.slice(0, end)).join('').split(',')
}

const exists = async (db: Db, query: string) =>
  (await db.unsafe<{ found: boolean }[]>(`select exists (${query}) as found`))[0]?.found ?? false

/** DETACH PARTITION CONCURRENTLY that was interrupted between its two transactions must be finalized. Servers before 14 do not know it. */
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
