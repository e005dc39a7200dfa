import { setTimeout as sleep } from 'node:timers/promises'
import type { Around } from '../../migrate/apply/running.ts'
import { isUnsendable } from '../../migrate/plan/sending.ts'
import type { MigrationStep } from '../../migrate/types.ts'
import type { Db } from '../../postgres/db.ts'
import { quoteLiteral } from '../../sql/quote.ts'
import { type HeldLock, type Relation, type Relations, rewritten, type StrongestLock, strongestLocks } from './locks.ts'

/** What a file did. */
export type Observed = {
  durationMs: number
  /** Whether it was one transaction, so that all locks were held at its end. Otherwise they were looked for every {@link everyMs}. */
  transaction: boolean
  locks: StrongestLock[]
  /** Size afterwards; 0 if the table was emptied. */
  rewritten: { object: string; sizeBytes: number }[]
}

/** How often to look for the locks of a file outside a transaction. */
export const everyMs = 10

/**
 * Looks at what files do to a database, from a second session: so nothing is added to the session of the files.
 *
 * @param db a session in that database, which only this uses
 * @param options `pid`: of the session that runs the files; `without`: the history table of the tool, which every file locks
 */
export function observing(
  db: Db,
  { pid, without }: { pid: number; without: { schema: string; name: string } | undefined },
  onFile: (step: MigrationStep, observed: Observed) => void,
): Around {
  let known: Relations | undefined
  return async (step, apply) => {
    const before = known ?? (await readRelations(db, without))
    known = undefined
    const held = new Map<string, HeldLock>()
    const look = async () => {
      for (const lock of await readLocks(db, pid)) held.set(`${lock.oid} ${lock.mode}`, lock)
    }
    const transaction = isUnsendable(step.sending) || step.sending.mode !== 'split'
    const stop = transaction ? undefined : repeat(look)
    const ms = await apply(look).finally(stop)
    const after = await readRelations(db, without)
    onFile(step, {
      durationMs: Math.round(ms),
      transaction,
      locks: strongestLocks([...held.values()], before),
      rewritten: await withSizes(db, rewritten(before, after)),
    })
    known = after
    return ms
  }
}

/** @returns a function that stops it, and waits for the last answer */
function repeat(look: () => Promise<void>): () => Promise<void> {
  let stopped = false
  const turns = async () => {
    while (!stopped) {
      await look()
      await sleep(everyMs)
    }
  }
  // If the session is lost, the next query says so.
  const ended = turns().catch(() => {})
  return () => {
    stopped = true
    return ended
  }
}

/** Tables, views and indexes, without those of the system, of pgbosun, and a history table with its indexes. */
async function readRelations(db: Db, without: { schema: string; name: string } | undefined): Promise<Relations> {
  const history = without
    ? `(n.nspname = ${quoteLiteral(without.schema)} and coalesce(t.relname, c.relname) = ${quoteLiteral(without.name)})`
    : 'false'
  const rows = await db.unsafe<Relation[]>(
    `select c.oid as oid, pg_catalog.format('%I.%I', n.nspname, c.relname) as name, i.indrelid as table,
            case when c.relkind in ('r', 'm') then pg_catalog.pg_relation_filenode(c.oid) end as file
       from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
       left join pg_catalog.pg_index i on i.indexrelid = c.oid left join pg_catalog.pg_class t on t.oid = i.indrelid
      where c.relkind in ('r', 'p', 'm', 'v', 'f', 'i', 'I') and n.nspname !~ '^pg_'
        and n.nspname not in ('information_schema', 'pgbosun') and not ${history}`,
  )
  return new Map(rows.map((row) => [row.oid, row]))
}

/** Those of a session on relations of this database. */
const readLocks = (db: Db, pid: number) =>
  db.unsafe<HeldLock[]>(
    `select l.relation as oid, l.mode from pg_catalog.pg_locks l
      where l.pid = ${pid} and l.locktype = 'relation' and l.granted
        and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())`,
  )

/** With their sizes, including what is stored beside the table; 0 for one without a row. */
async function withSizes(db: Db, relations: Relation[]): Promise<Observed['rewritten']> {
  if (relations.length === 0) return []
  const rows = await db.unsafe<{ oid: number; size: number }[]>(
    `select r.oid as oid,
            case when pg_catalog.pg_relation_size(r.oid::regclass) > 0 then pg_catalog.pg_table_size(r.oid::regclass) else 0 end::float8 as size
       from pg_catalog.unnest(array[${relations.map(({ oid }) => oid)}]::oid[]) r (oid)`,
  )
  const sizes = new Map(rows.map(({ oid, size }) => [oid, size]))
  return relations.map(({ oid, name }) => ({ object: name, sizeBytes: sizes.get(oid) ?? 0 }))
}
