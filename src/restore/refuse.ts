import type { Manifest } from '../archive/manifest.ts'
import { AppError } from '../errors.ts'
import type { Session } from '../postgres/session.ts'
import { quoteIdent, quoteLiteral } from '../sql/quote.ts'
import { visibleSql } from '../text.ts'
import { findRefusals, refusal } from './guard.ts'
import { readInPlaceNow } from './in-place/describe.ts'
import { readTarget } from './inspect.ts'
import type { Loading } from './loading.ts'
import type { RestoreOptions, WantedRestore } from './options.ts'
import { creatableRoles, withRoles } from './roles.ts'
import { readReplaceableNow } from './swap/swap.ts'

/**
 * Refuses what is known to fail on this server.
 * @returns the roles to create
 */
export async function guard(session: Session, manifest: Manifest, wanted: WantedRestore): Promise<string[]> {
  const { into, swap } = wanted
  const read = await readTarget(session.sql, manifest, into)
  const found = swap ? { ...read, exists: false } : read
  const created = wanted.createRoles ? creatableRoles(manifest, found) : []
  const target = withRoles(found, created, manifest.database.owner)
  const problem = refusal(findRefusals(manifest, wanted, target), { id: manifest.id, into })
  if (problem) throw problem
  return created
}

/** The database to replace, if one is; @throws {AppError} `restore`, `refused` if it must not be replaced now */
export const replaceableBy = async (
  { sql }: Session,
  manifest: Manifest,
  { wanted: { swap, inPlace, into }, lock }: RestoreOptions,
) =>
  inPlace
    ? readInPlaceNow(sql, { name: into, lockDatabase: lock.database })
    : swap && readReplaceableNow(sql, { name: into, lockDatabase: lock.database, manifest }, swap)

/**
 * A database is renamed by who inherits from its owner: known before the load, not at its end. From 16 on, a member may set a role and not
 * inherit from it.
 */
export async function refuseNoInheritance(
  db: Session['sql'],
  { database: { owner } }: Manifest,
  { rights: { user, superuser } }: Loading,
): Promise<void> {
  if (superuser) return
  const rows = await db.unsafe(
    `select from pg_catalog.pg_roles where rolname = ${quoteLiteral(owner)} and not pg_catalog.pg_has_role(session_user, oid, 'USAGE')`,
  )
  if (rows.length > 0)
    throw new AppError(
      'refused',
      `the user ${user} is a member of ${owner}, which owned the database, but does not inherit from it; nothing was changed`,
      {
        hint: `grant ${visibleSql(quoteIdent(owner))} to ${visibleSql(quoteIdent(user))} with inherit true, connect as a superuser, or pass --no-owner`,
      },
    )
}
