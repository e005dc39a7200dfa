// pure
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts'
import { visible, visibleSql } from '../../text.ts'
import { counted, plural, renderBytes, someOf } from '../../units.ts'
import type { RestoreRefusal } from '../guard.ts'

/** What a person allowed a swap to break. */
export type Allowed = { dropSlots: boolean; disableSubscriptions: boolean; standbysReconnect: boolean }

/** What the server says about a database that is about to be replaced; see read.ts. */
export type SwapFacts = {
  name: string
  /** Whether it is `lock.database`. */
  holdsLocks: boolean
  exists: boolean
  user: string
  superuser: boolean
  mayCreateDatabases: boolean
  owner: string
  mayActAsOwner: boolean
  /** Its logical replication slots. */
  slots: string[]
  /** Its enabled subscriptions. */
  subscriptions: string[]
  /** Global identifiers of its prepared transactions. */
  prepared: string[]
  sessions: number
  /** Sessions that we may not end. */
  stubborn: { pid: number; user: string }[]
  /** Physical standbys of the server. */
  standbys: string[]
  /** Whether databases may be copied from it by everybody, and whether anybody may connect to it. */
  template: boolean
  allowsConnections: boolean
  /** Settings for this database that the user may not make for the new one. `role` null: for everybody. */
  fixedSettings: { role: string | null; name: string }[]
}

/** Why the database cannot be replaced now, each with the statement or the flag that changes it. */
export function findSwapRefusals(facts: SwapFacts, allowed: Allowed): RestoreRefusal[] {
  const { name, user, slots, subscriptions, prepared, stubborn, standbys } = facts
  const database = sqlName(name)
  const refusals: RestoreRefusal[] = []
  const refuse = (reason: string, hint: string, kind: RestoreRefusal['kind'] = 'restore') =>
    refusals.push({ kind, reason: visible(reason), hint: visible(hint) })

  if (!facts.exists) {
    refuse(`there is no database ${name} to replace`, `restore it as a new one: --into ${name}`)
    return refusals
  }
  if (facts.holdsLocks)
    refuse(
      `${name} is lock.database: a swap would let two runs hold the same lock`,
      'set lock.database to another database for all runners, or restore with --into NEW and change the URL',
    )
  if (!facts.superuser && !facts.mayActAsOwner)
    refuse(
      `the user ${user} may not act as ${facts.owner}, which owns ${name}`,
      `grant ${sqlName(facts.owner)} to ${sqlName(user)}, or connect as a superuser`,
      'refused',
    )
  if (!facts.superuser && !facts.mayCreateDatabases)
    refuse(
      `the user ${user} may not rename databases`,
      `alter role ${sqlName(user)} createdb, or connect as another user`,
      'refused',
    )
  refuseProperties(facts, refuse)
  if (slots.length > 0 && !allowed.dropSlots)
    refuse(
      `${name} has ${counted(slots.length, 'logical replication slot')} (${someOf(slots)}), which would stay with the old database and keep its WAL`,
      `end what reads from ${plural(slots.length, 'it', 'them')}, then run in ${database}: ${someOf(slots.map(dropSlot), '; ')}; or pass --drop-slots and set up its readers again`,
    )
  if (subscriptions.length > 0 && !allowed.disableSubscriptions)
    refuse(
      `${name} has ${counted(subscriptions.length, 'enabled subscription')} (${someOf(subscriptions)}), which would go on writing into the old database`,
      `run in ${database}: ${someOf(subscriptions.map(disable), '; ')}; or pass --disable-subscriptions`,
    )
  if (prepared.length > 0)
    refuse(
      `${name} has ${counted(prepared.length, 'prepared transaction')}, without which it cannot be renamed: ${someOf(prepared)}`,
      `finish ${plural(prepared.length, 'it', 'them')} in ${database}: ${someOf(prepared.map(rollbackPrepared), '; ')} (or commit prepared)`,
    )
  if (stubborn.length > 0)
    refuse(
      `the user ${user} may not end ${counted(stubborn.length, 'session')} in ${name}: ${someOf(stubborn.map(({ pid, user }) => `pid ${pid} of ${user}`))}`,
      `end ${plural(stubborn.length, 'it', 'them')}, grant pg_signal_backend to ${sqlName(user)} (for sessions of superusers, connect as one)`,
    )
  if (standbys.length > 0 && !allowed.standbysReconnect)
    refuse(
      `${counted(standbys.length, 'standby', 'standbys')} ${plural(standbys.length, 'follows', 'follow')} this server (${someOf(standbys)}): sessions that are open there would go on reading the old database`,
      'pass --standbys-reconnect, and restart what reads from them afterwards',
    )
  return refusals
}

/** Properties that the new database would not get, or the old one would keep. */
function refuseProperties(
  { name, user, template, allowsConnections, fixedSettings }: SwapFacts,
  refuse: (reason: string, hint: string, kind?: RestoreRefusal['kind']) => void,
): void {
  const database = sqlName(name)
  if (template)
    refuse(
      `${name} is a template, of which others may make copies`,
      `alter database ${database} is_template false; and afterwards is_template true, if that is still wanted`,
    )
  if (!allowsConnections) refuse(`${name} accepts no connections`, `alter database ${database} allow_connections true`)
  if (fixedSettings.length > 0)
    refuse(
      `the user ${user} may not make ${counted(fixedSettings.length, 'setting')} of ${name} for the new one: ${someOf(fixedSettings.map(settingName))}`,
      `connect as a superuser; or run as one: ${someOf(
        fixedSettings.map(
          ({ role, name: setting }) =>
            `${role === null ? `alter database ${database}` : `alter role ${sqlName(role)} in database ${database}`} reset ${sqlName(setting)}`,
        ),
        '; ',
      )}`,
      'refused',
    )
}

const settingName = ({ role, name }: SwapFacts['fixedSettings'][number]) =>
  role === null ? name : `${name} of ${role}`

const sqlName = (name: string) => visibleSql(quoteIdent(name))
const dropSlot = (name: string) => `select pg_catalog.pg_drop_replication_slot(${quoteLiteral(name)})`
const disable = (name: string) => `alter subscription ${sqlName(name)} disable`
const rollbackPrepared = (gid: string) => `rollback prepared ${quoteLiteral(gid)}`

/** What a swap ends or breaks, said before it is done. */
export function swapConsequences(
  { name, sessions, slots, subscriptions, standbys }: SwapFacts,
  { publications }: { publications: string[] },
): string[] {
  return [
    ...(sessions > 0
      ? [
          `${counted(sessions, 'session')} in ${name} ${plural(sessions, 'ends', 'end')}; whoever connects meanwhile is refused once (3D000), and a PgBouncer that was then waits for its server_login_retry (15 s unless set)`,
        ]
      : []),
    ...(publications.length > 0
      ? [
          `subscribers of the ${plural(publications.length, 'publication')} ${someOf(publications)} lose their place and must be set up again`,
        ]
      : []),
    ...(slots.length > 0
      ? [
          `the replication ${plural(slots.length, 'slot')} ${someOf(slots)} ${plural(slots.length, 'is', 'are')} dropped: its readers must be set up again`,
        ]
      : []),
    ...(subscriptions.length > 0
      ? [
          `the ${plural(subscriptions.length, 'subscription')} ${someOf(subscriptions)} ${plural(subscriptions.length, 'is', 'are')} disabled, and restored without a slot`,
        ]
      : []),
    ...(standbys.length > 0
      ? [`restart the pools that read from ${someOf(standbys)}: their open sessions keep reading the old database`]
      : []),
    'statistics (pg_stat_*) start from zero; prepared statements and whatever keeps OIDs of its objects must look them up again',
  ].map(visible)
}

/** The space a second copy needs, in words. */
export const spaceNeeded = (sizeBytes: number) =>
  `needs about ${renderBytes(sizeBytes * 1.2)} on the server's disk, and as much again for WAL; pgbosun cannot see how much is free`

/** What is about to be replaced, so that nobody takes it for another one. */
export const describeReplaced = (
  { name, sessions }: Pick<SwapFacts, 'name' | 'sessions'>,
  { sizeBytes, newest }: { sizeBytes: number; newest: string | undefined },
): string =>
  visible(
    `${name} has ${renderBytes(sizeBytes)} and ${counted(sessions, 'session')} now; its newest backup is ${newest ?? 'none'}`,
  )
