import type { Db } from '../postgres/db.ts'
import { quoteLiteral } from '../sql/quote.ts'

/** How a password was remembered: a slow hash, so that who reads the state is no nearer to the password than who reads pg_authid. */
export type PasswordPrint = { salt: string; iterations: number; hash: string }

/** Which of two logins the application uses, since when as far as we know, and which one it is to use next. */
export type InUse = { login: string; since: string; next?: string }

/** What is remembered between runs, in `pgbosun.state.notes`. Keys that are not known here are kept as they are. */
export type Notes = {
  /** By role: passwords that were set where they cannot be read back. */
  passwords?: Record<string, PasswordPrint>
  /** By group. */
  in_use?: Record<string, InUse>
  /** Logins that were closed after a rotation: they stay so, although they are declared. */
  closed?: string[]
}

/** The notes in the database of the session; undefined if there is no state with a place for them, or it may not be read. */
export async function readNotes(db: Db): Promise<Notes | undefined> {
  const [found] = await db.unsafe(
    `select from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid
      where c.relnamespace = pg_catalog.to_regnamespace('pgbosun') and c.relname = 'state' and c.relkind = 'r' and a.attname = 'notes'
        and a.atttypid = 'pg_catalog.jsonb'::pg_catalog.regtype
        and pg_catalog.has_table_privilege(c.oid, 'select') and pg_catalog.has_schema_privilege(c.relnamespace, 'usage')`,
  )
  if (!found) return undefined
  const [row] = await db.unsafe<{ notes: Notes | null }[]>(`select notes from only pgbosun.state`)
  return row ? (row.notes ?? {}) : undefined
}

/** Replaces the notes. Only under the lock on roles, after the tables were found to be ours. */
export const writeNotes = (db: Db, notes: Notes) =>
  db.unsafe(`update pgbosun.state set notes = ${quoteLiteral(JSON.stringify(notes))}::pg_catalog.jsonb`)
