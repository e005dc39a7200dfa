import { quoteLiteral } from '../sql/quote.ts'
import type { Sql } from './db.ts'
import type { DatabaseLocale } from './locale.ts'
import { isServerError } from './server-error.ts'
import { rollback } from './transaction.ts'

/**
 * Whether the server has the locale of a database. One that no database uses yet is tried out, in a transaction that is rolled back; who
 * may not try learns it when the database is created.
 */
export async function knowsLocale(
  db: Sql,
  { locale_provider: provider, collate, ctype }: DatabaseLocale,
): Promise<boolean> {
  if (provider === 'builtin' || collate === null) return true
  const names = [...new Set([collate, ctype ?? collate])].filter((name) => name !== 'C' && name !== 'POSIX')
  if (names.length === 0) return true
  const [row] = await db.unsafe<{ known: boolean }[]>(
    `select pg_catalog.bool_and(exists (select from pg_catalog.pg_database d where name in (d.datcollate, d.datctype))) as known
       from pg_catalog.unnest(array[${names.map(quoteLiteral).join(', ')}]) name`,
  )
  if (row!.known) return true
  await db.unsafe('begin')
  try {
    for (const [i, name] of names.entries())
      await db.unsafe(`create collation pg_temp.pgbosun_${i} (provider = libc, locale = ${quoteLiteral(name)})`)
    return true
  } catch (error) {
    if (!isServerError(error)) throw error
    return !['22023', '42704', '22P02', '58P01'].includes(error.code)
  } finally {
    await rollback(db)
  }
}
