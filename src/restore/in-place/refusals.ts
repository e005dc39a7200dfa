// pure
import type { Manifest } from '../../archive/manifest.ts'
import type { Toc } from '../../archive/toc.ts'
import { quoteIdent, quoteLiteral } from '../../sql/quote.ts'
import { isTransactionControl, scan } from '../../sql/scan.ts'
import { visible, visibleSql } from '../../text.ts'
import { counted, plural, renderBytes, someOf } from '../../units.ts'
import type { RestoreRefusal } from '../guard.ts'
import { named } from '../plan.ts'
import type { Allowed, SwapFacts } from '../swap/refusals.ts'

/** What a database says, asked in it, before its contents are replaced in one transaction; see read.ts. */
export type InPlaceFacts = {
  encoding: string
  /** Its objects, of which each needs an entry in the server's table of locks when it is dropped. */
  objects: number
  /** How many entries that table has for everybody. */
  locks: number
  /** `max_locks_per_transaction` */
  locksPerTransaction: number
  /** Its subscriptions that are enabled or have a slot. */
  subscriptions: string[]
  publications: string[]
  /** Those of its extensions that the session user may not drop. */
  fixedExtensions: string[]
}

/** The archive's own obstacles, in words. */
type Contents = { toc: Toc; isolated: boolean }

/**
 * Why the contents of the database cannot be replaced in one transaction now, each with the statement or the flag that changes it. What
 * would only hinder a swap (its name, its sessions, standbys, lock.database) is no obstacle.
 */
export function findInPlaceRefusals(
  facts: SwapFacts,
  here: InPlaceFacts,
  { manifest, contents, allowed }: { manifest: Manifest; contents: Contents; allowed: Allowed },
): RestoreRefusal[] {
  const { name, user, slots, prepared } = facts
  const database = visibleSql(quoteIdent(name))
  const refusals: RestoreRefusal[] = []
  const refuse = (reason: string, hint: string, kind: RestoreRefusal['kind'] = 'restore') =>
    refusals.push({ kind, reason: visible(reason), hint: visible(hint) })

  if (!facts.superuser && !facts.mayActAsOwner)
    refuse(
      `the user ${user} may not act as ${facts.owner}, which owns ${name}`,
      `grant ${visibleSql(quoteIdent(facts.owner))} to ${visibleSql(quoteIdent(user))}, or connect as a superuser`,
      'refused',
    )
  if (slots.length > 0 && !allowed.dropSlots)
    refuse(
      `${name} has ${counted(slots.length, 'logical replication slot')} (${someOf(slots)}): what reads from ${plural(slots.length, 'it', 'them')} would not follow, as only rows are replicated, and not that tables are dropped and made again`,
      `end what reads from ${plural(slots.length, 'it', 'them')}, then run in ${database}: ${someOf(slots.map(dropSlot), '; ')}; or pass --drop-slots and set up its readers again`,
    )
  if (here.subscriptions.length > 0)
    refuse(
      `${name} has ${counted(here.subscriptions.length, 'subscription')} (${someOf(here.subscriptions)}), which would go on writing into what was restored`,
      `run in ${database}: ${someOf(here.subscriptions.map(dropSubscription), '; ')}; its slot stays on the server of the publication: drop it there`,
    )
  if (prepared.length > 0)
    refuse(
      `${name} has ${counted(prepared.length, 'prepared transaction')}, which may hold locks: ${someOf(prepared)}`,
      `finish ${plural(prepared.length, 'it', 'them')} in ${database}: ${someOf(
        prepared.map((gid) => `rollback prepared ${quoteLiteral(gid)}`),
        '; ',
      )} (or commit prepared)`,
    )
  if (here.fixedExtensions.length > 0)
    refuse(
      `the user ${user} may not drop the ${plural(here.fixedExtensions.length, 'extension')} ${someOf(here.fixedExtensions)}, which a restore in place makes again`,
      'connect as a superuser, or restore without --in-place',
      'refused',
    )
  for (const { encoding } of [here, manifest.database])
    if (encoding !== 'UTF8')
      refuse(
        encoding === here.encoding
          ? `the encoding of ${name} is ${encoding}: in place, only UTF8 is restored`
          : `the encoding of the backup is ${encoding}, but that of ${name} is ${here.encoding}`,
        'restore without --in-place',
      )
  for (const [reason, hint] of obstaclesIn(contents)) refuse(reason, hint)
  const need = locksNeeded(here, contents.toc)
  if (need > here.locks * usable)
    refuse(
      `one transaction over everything needs about ${need} locks, but the server has room for ${here.locks}`,
      `set max_locks_per_transaction to ${Math.ceil((need / here.locks / usable) * here.locksPerTransaction)} and restart the server, or restore without --in-place`,
    )
  return refusals
}

/** Others need locks too. */
const usable = 0.8

/** What an object of an archive takes when it is created: a table also has a type, a TOAST table and its index. */
const locksOf: Record<string, number> = { TABLE: 5, 'MATERIALIZED VIEW': 4, VIEW: 3, TYPE: 2, 'FOREIGN TABLE': 3 }

/** Measured; see test/in-place.int.test.ts. */
export const locksNeeded = ({ objects }: Pick<InPlaceFacts, 'objects'>, toc: Toc): number =>
  objects +
  toc.entries.reduce(
    (sum, { desc, defn }) =>
      sum + (desc === 'BLOB METADATA' ? (defn.match(/\d+/g) ?? []).length : (locksOf[desc] ?? 1)),
    0,
  )

function obstaclesIn({ toc: { entries }, isolated }: Contents): [string, string][] {
  const found: [string, string][] = []
  const methods = [...new Set(entries.flatMap(({ accessMethod }) => accessMethod ?? []))]
  if (methods.length > 0)
    found.push([
      `tables in the backup are kept by another access method than heap: ${someOf(methods)}`,
      'restore without --in-place',
    ])
  const ending = entries.filter(({ defn }) => [...scan(defn).statements].some(isTransactionControl))
  if (ending.length > 0)
    found.push([
      `statements in the backup would end the transaction: ${someOf(ending.map(named))}`,
      'find out who changed the backup, as pg_dump writes no such statement',
    ])
  const passed = entries.filter(({ desc, defn }) => desc === 'ACL' && /^SET SESSION AUTHORIZATION /m.test(defn))
  if (isolated && passed.length > 0)
    found.push([
      `privileges were passed on by others than the owner: ${someOf(passed.map(({ tag }) => tag))}`,
      'restore without --in-place, or pass --as-superuser if you trust everybody who could write to the database that was backed up',
    ])
  return found
}

const dropSlot = (name: string) => `select pg_catalog.pg_drop_replication_slot(${quoteLiteral(name)})`
const dropSubscription = (name: string) => {
  const subscription = visibleSql(quoteIdent(name))
  return `alter subscription ${subscription} disable; alter subscription ${subscription} set (slot_name = none); drop subscription ${subscription}`
}

/** What it means for those who use the database, said before. */
export function inPlaceConsequences(
  { name, sessions, slots, standbys }: SwapFacts,
  { publications }: InPlaceFacts,
  { sizeBytes, backupFirst }: { sizeBytes: number; backupFirst: boolean },
): string[] {
  return [
    `needs about ${renderBytes(sizeBytes * 1.2)} on the server's disk until the end, and as much again for WAL; pgbosun cannot see how much is free`,
    `all tables of ${name} are locked until the end of the load: whoever reads or writes one waits (${counted(sessions, 'session')} now)`,
    backupFirst
      ? 'what is written between the backup made first and those locks is lost: stop what writes'
      : 'what it is now is kept nowhere',
    ...(publications.length > 0
      ? [
          `subscribers of the ${plural(publications.length, 'publication')} ${someOf(publications)} must be set up again, because they do not follow`,
        ]
      : []),
    ...(slots.length > 0
      ? [
          `the replication ${plural(slots.length, 'slot')} ${someOf(slots)} ${plural(slots.length, 'is', 'are')} dropped`,
        ]
      : []),
    ...(standbys.length > 0
      ? [`on ${someOf(standbys)}, queries that are in the way of those locks are cancelled`]
      : []),
    `there is no --rollback${backupFirst ? ': only the backup made first brings back what it was' : ''}`,
  ].map(visible)
}
