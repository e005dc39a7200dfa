// pure
import { quoteIdent, quoteLiteral } from '../sql/quote.ts'
import { renderAge, renderBytes, someOf } from '../units.ts'
import type { Condition, ConditionName } from './condition-catalogue.ts'
import type { OpenTransaction, ServerFacts, SlotFacts } from './server-facts.ts'

/** The conditions that are judged here. */
export const serverConditionNames = [
  ...(['connections-near-limit', 'xid-age', 'slot-retains-wal', 'long-transaction', 'clock-skew'] as const),
  'password-expiring' as const,
]

/** Above that share of what there may be, the next release or retry may get no connection. */
const fullShare = 0.8

/**
 * Half of what there is: autovacuum was to freeze at a tenth of that. Where it is told to wait longer, twice that long, and never above
 * `vacuum_failsafe_age`, where VACUUM itself gives up everything else to be in time.
 */
const idsUsed = (freezeMaxAge: number) => Math.min(1_600_000_000, Math.max(1_000_000_000, 2 * freezeMaxAge))

/** As long as a backup, but not more: nothing that was deleted since can be cleaned up. */
const longMs = 3_600_000

const skewHint = 'set the clock: `timedatectl set-ntp true`'

/** What is wrong with the server, and what of it could not be seen. */
export type JudgedServer = { conditions: Condition[]; unknown: ConditionName[] }

/**
 * Judges what was read of the server. Pure.
 * @param before the conditions after the look before: what has no instant of its own keeps that of its first sight
 * @param skew in words, that the clocks differ
 */
export function judgeServer(
  facts: ServerFacts,
  { before, now, skew }: { before: readonly Condition[]; now: Date; skew: string | undefined },
): JudgedServer {
  const of = (
    name: (typeof serverConditionNames)[number],
    severity: Condition['severity'],
    found: { message: string; hint: string; since?: string | undefined; roles?: string[] } | undefined,
  ): Condition[] => {
    if (!found) return []
    const since = found.since ?? before.find((one) => one.name === name)?.since ?? now.toISOString()
    return [{ name, severity, roles: found.roles ?? [], message: found.message, hint: found.hint, since }]
  }
  const transaction = judgeTransaction(facts.transaction, now)
  return {
    conditions: [
      ...of('connections-near-limit', 'warning', judgeConnections(facts)),
      ...of('xid-age', 'error', judgeIds(facts.oldestIds)),
      ...of('slot-retains-wal', 'warning', judgeSlots(facts)),
      ...of('long-transaction', 'warning', transaction),
      ...of('clock-skew', 'warning', skew === undefined ? undefined : { message: skew, hint: skewHint }),
      ...of('password-expiring', 'warning', judgePasswords(facts, now)),
    ],
    unknown: !transaction && facts.hidden > 0 ? ['long-transaction'] : [],
  }
}

function judgeConnections({ connections, connectionLimit }: ServerFacts) {
  if (connections < fullShare * connectionLimit) return undefined
  return {
    message: `${connections} of ${connectionLimit} connections of the server are in use`,
    hint: 'look at who has them: select usename, application_name, state, pg_catalog.count(*) from pg_catalog.pg_stat_activity group by 1, 2, 3 order by 4 desc; use smaller pools, or raise max_connections',
  }
}

function judgeIds(oldest: ServerFacts['oldestIds']) {
  if (!oldest || oldest.age < idsUsed(oldest.freezeMaxAge)) return undefined
  const { database, age } = oldest
  return {
    message: `database ${database} has rows that are ${Math.round(age / 1_000_000)} million transactions old: at about 2100 million the server accepts no writes any more`,
    hint: `end old transactions, and drop prepared ones and slots that nobody needs; then, connected to ${quoteIdent(database)}: vacuum freeze`,
  }
}

/** One that nobody reads keeps more and more, until the disk is full. */
function judgeSlots({ slots, maxWalBytes }: ServerFacts) {
  const bad = slots.filter((slot) => keepsTooMuch(slot, maxWalBytes))
  const [worst] = bad.toSorted((a, b) => (b.retainedBytes ?? 0) - (a.retainedBytes ?? 0))
  if (!worst) return undefined
  const since = bad.every((slot) => slot.inactiveSince !== undefined)
    ? bad.map((slot) => slot.inactiveSince!).sort()[0]
    : undefined
  return { message: describeSlot(worst, bad.length - 1), hint: hintForSlot(worst), since }
}

function keepsTooMuch({ active, retainedBytes, safeBytes, lost }: SlotFacts, maxWalBytes: number): boolean {
  if (lost) return true
  if (retainedBytes === undefined) return false
  if (safeBytes !== undefined) return safeBytes < 0.25 * (Math.max(safeBytes, 0) + retainedBytes)
  return retainedBytes > (active ? 4 : 1) * maxWalBytes
}

const describeSlot = ({ name, active, retainedBytes, lost }: SlotFacts, others: number) => {
  const more = others === 0 ? '' : `; so do ${others} more`
  if (lost) return `the replication slot ${name} is lost: what it should have kept is gone${more}`
  const who = active ? 'whose reader is slow' : 'which nobody reads'
  return `the replication slot ${name}, ${who}, keeps ${renderBytes(retainedBytes ?? 0)} of WAL on the server's disk${more}`
}

const hintForSlot = ({ name, active, lost }: SlotFacts) =>
  active && !lost
    ? `look at its reader: select * from pg_catalog.pg_stat_replication; a limit is max_slot_wal_keep_size`
    : `start its reader again, or, if there is none any more: select pg_catalog.pg_drop_replication_slot(${quoteLiteral(name)})`

/** Long enough before, as `check` says it. */
const soonMs = 14 * 86_400_000

function judgePasswords({ expiring }: ServerFacts, now: Date) {
  const soon = expiring.filter(({ until }) => Date.parse(until) - now.getTime() < soonMs)
  const [first] = soon
  if (!first) return undefined
  const inMs = Date.parse(first.until) - now.getTime()
  const when = inMs <= 0 ? `expired ${renderAge(-inMs)} ago` : `expires in ${renderAge(inMs)}`
  const others = soon.length === 1 ? '' : `; so do those of ${someOf(soon.slice(1).map(({ role }) => role))}`
  return {
    roles: soon.map(({ role }) => role),
    since: new Date(Date.parse(first.until) - soonMs).toISOString(),
    message: `the password of ${first.role} ${when}${others}`,
    hint: 'set a new password and a later `validUntil`, then: pgbosun up',
  }
}

function judgeTransaction(transaction: OpenTransaction | undefined, now: Date) {
  if (!transaction || now.getTime() - Date.parse(transaction.since) < longMs) return undefined
  const { since, database, user, pid, gid } = transaction
  const age = renderAge(now.getTime() - Date.parse(since))
  return {
    since,
    message:
      gid === undefined
        ? `a transaction of ${user} in ${database} (pid ${pid}) has been open for ${age}: nothing that was deleted since can be cleaned up`
        : `the prepared transaction ${gid} of ${user} in ${database} has been open for ${age}: it keeps its locks, and nothing can be cleaned up`,
    hint:
      gid === undefined
        ? `look at it: select state, query from pg_catalog.pg_stat_activity where pid = ${pid}; end it: select pg_catalog.pg_terminate_backend(${pid})`
        : `finish it, connected to ${quoteIdent(database)}: commit prepared ${quoteLiteral(gid)}, or rollback prepared ${quoteLiteral(gid)}`,
  }
}
