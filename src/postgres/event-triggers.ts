import { quoteIdent } from '../sql/quote.ts'
import type { Db } from './db.ts'

/**
 * Whether further sessions of the session user may start `withoutEventTriggers`: from PostgreSQL 17 on superusers may, and those who
 * were granted SET on the parameter. A server that does not know the parameter, or refuses it, refuses the whole session.
 */
export async function mayGoWithoutEventTriggers({
  sql,
  serverVersion,
}: {
  sql: Db
  serverVersion: number
}): Promise<boolean> {
  if (!hasEventTriggersParameter(serverVersion)) return false
  const [row] = await sql.unsafe<{ may: boolean }[]>(
    "select pg_catalog.has_parameter_privilege(session_user, 'event_triggers', 'SET') as may",
  )
  return row?.may ?? false
}

/** From that version on there are event triggers at login, which can lock everybody out, and a parameter that stops them. */
export const hasEventTriggersParameter = (serverVersion: number) => serverVersion >= 170_000

/**
 * Runs statements in one transaction in which code of the application does not run with our rights: without the event triggers that are
 * enabled, where there are any. From PostgreSQL 17 on a setting does that; before, each is disabled meanwhile, which fires none.
 *
 * @throws whatever the server answers, insufficient_privilege for example where we may do neither
 */
export async function withoutEventTriggers(sql: Db, statements: string[]): Promise<void> {
  if (statements.length === 0) return
  const triggers = await sql.unsafe<Trigger[]>(
    `select evtname as name, evtenabled as state, pg_catalog.current_setting('server_version_num')::int as version
       from pg_catalog.pg_event_trigger where evtenabled <> 'D' order by evtname`,
  )
  const { before, after } = await without(sql, triggers)
  await sql.unsafe([...before, ...statements, ...after].join(';\n'))
}

type Trigger = { name: string; state: keyof typeof states; version: number }

async function without(sql: Db, triggers: Trigger[]): Promise<{ before: string[]; after: string[] }> {
  const [first] = triggers
  if (!first) return { before: [], after: [] }
  if (await mayGoWithoutEventTriggers({ sql, serverVersion: first.version }))
    return {
      before: ["select pg_catalog.set_config('event_triggers', 'off', true)"],
      after: [],
    }
  const set = (name: string, state: string) => `alter event trigger ${quoteIdent(name)} ${state}`
  return {
    before: triggers.map(({ name }) => set(name, 'disable')),
    after: triggers.map(({ name, state }) => set(name, states[state])),
  }
}

const states = { O: 'enable', R: 'enable replica', A: 'enable always' }
