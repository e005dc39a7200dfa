import type { Db } from '../postgres/db.ts'
import { withoutEventTriggers } from '../postgres/event-triggers.ts'
import type { Session } from '../postgres/session.ts'
import { quoteIdent, quoteLiteral } from '../sql/quote.ts'
import { visibleSql } from '../text.ts'

/** `slot`: of the server with the publication. */
type Subscription = { name: string; slot: string | null }

/**
 * Takes the slots of the original from the subscriptions of a restored database: two subscribers of one slot lose each other's changes,
 * and dropping a subscription drops its slot, on the server of the publication. Contacts no other server.
 *
 * @param sql a session in that database, outside a transaction
 * @returns what a person has to know about each
 */
export async function detachSubscriptions(sql: Db): Promise<string[]> {
  const subscriptions = (await readSubscriptions(sql)).filter(({ slot }) => slot !== null)
  await withoutEventTriggers(sql, subscriptions.flatMap(detach))
  return subscriptions.map(({ name, slot }) => {
    const subscription = quoteIdent(name)
    const back = `alter subscription ${subscription} set (slot_name = ${quoteLiteral(slot!)}); alter subscription ${subscription} enable`
    return `the subscription ${visibleSql(subscription)} was restored without its slot, which the original may still use; when the original is gone: ${visibleSql(back)}`
  })
}

/** Removes all subscriptions of a database, because a database with one cannot be dropped, but not their slots. */
export async function dropSubscriptions(sql: Db): Promise<void> {
  const subscriptions = await readSubscriptions(sql)
  await withoutEventTriggers(
    sql,
    subscriptions.flatMap((subscription) => [
      ...detach(subscription),
      `drop subscription ${quoteIdent(subscription.name)}`,
    ]),
  )
}

/**
 * Disables the enabled subscriptions of a database, which otherwise go on writing into it, and connect to it again and again.
 *
 * @param names those that are enabled
 * @param connect opens a session in the database
 * @returns enables them again
 */
export async function disableSubscriptions(
  names: readonly string[],
  connect: () => Promise<Session>,
): Promise<() => Promise<void>> {
  if (names.length === 0) return async () => {}
  const session = await connect()
  try {
    const enabled = await readEnabled(session.sql)
    await withoutEventTriggers(
      session.sql,
      enabled.map((name) => `alter subscription ${quoteIdent(name)} disable`),
    )
    return () => enableSubscriptions(enabled, connect)
  } finally {
    await session.end()
  }
}

/** Enables those of these subscriptions that are there, are disabled, and have a slot. */
export async function enableSubscriptions(names: readonly string[], connect: () => Promise<Session>): Promise<void> {
  if (names.length === 0) return
  const session = await connect()
  try {
    const there = await session.sql.unsafe<{ name: string }[]>(
      `select subname as name from pg_catalog.pg_subscription where not subenabled and subslotname is not null
          and subdbid = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()) order by subname`,
    )
    await withoutEventTriggers(
      session.sql,
      there
        .filter(({ name }) => names.includes(name))
        .map(({ name }) => `alter subscription ${quoteIdent(name)} enable`),
    )
  } finally {
    await session.end()
  }
}

async function readEnabled(sql: Db): Promise<string[]> {
  const rows = await sql.unsafe<{ name: string }[]>(
    `select subname as name from pg_catalog.pg_subscription
      where subenabled and subdbid = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()) order by subname`,
  )
  return rows.map(({ name }) => name)
}

/** Whether a database has subscriptions, asked in any database. */
export async function hasSubscriptions(db: Db, database: string): Promise<boolean> {
  const rows = await db.unsafe(
    `select from pg_catalog.pg_subscription s join pg_catalog.pg_database d on d.oid = s.subdbid where d.datname = ${quoteLiteral(database)}`,
  )
  return rows.length > 0
}

const readSubscriptions = (sql: Db): Promise<Subscription[]> =>
  sql.unsafe<Subscription[]>(
    `select subname as name, subslotname as slot from pg_catalog.pg_subscription
      where subdbid = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()) order by subname`,
  )

const detach = ({ name }: Subscription): string[] => [
  `alter subscription ${quoteIdent(name)} disable`,
  `alter subscription ${quoteIdent(name)} set (slot_name = none)`,
]
