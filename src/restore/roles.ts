import { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Db } from '../postgres/db.ts'
import { isServerError } from '../postgres/server-error.ts'
import type { Session } from '../postgres/session.ts'
import { inTransaction } from '../postgres/transaction.ts'
import { quoteIdent } from '../sql/quote.ts'
import { type Guarded, neededRoles, type TargetServer } from './guard.ts'

/** The roles that a backup needs, that are missing, and that may be created without any rights. */
export const creatableRoles = (manifest: Guarded, { roles }: Pick<TargetServer, 'roles'>): string[] =>
  neededRoles(manifest).filter((name) => !roles.includes(name) && !manifest.superusers?.includes(name))

/** The server as it will be once these roles exist. */
export const withRoles = (target: TargetServer, created: readonly string[], owner: string): TargetServer => ({
  ...target,
  roles: [...target.roles, ...created],
  mayActAsOwner: target.mayActAsOwner || created.includes(owner),
})

/**
 * Creates roles that cannot log in and have no rights: all of them, or none. A user that is not a superuser becomes a member, because only
 * a member may make them owners.
 *
 * @throws {AppError} `refused` without the right to do so
 */
export async function createRoles(
  { sql, serverVersion }: Session,
  names: readonly string[],
  { user, superuser }: { user: string; superuser: boolean },
): Promise<void> {
  const us = quoteIdent(user)
  // From 16 on, only who inherits from the owner of a database may rename it.
  const member = serverVersion < 160_000 ? '' : ' with inherit true, set true'
  try {
    await inTransaction(sql, async (tx) => {
      for (const name of names.map(quoteIdent)) {
        await tx.unsafe(`create role ${name} nologin`)
        if (!superuser) await tx.unsafe(`grant ${name} to ${us}${member}`)
      }
    })
  } catch (error) {
    if (!isServerError(error) || error.code !== '42501') throw error
    throw new AppError('refused', `the missing roles could not be created: ${error.message}`, {
      hint: `give ${user} CREATEROLE, connect as a superuser, or pass --no-owner`,
      sqlstate: error.code,
      cause: error,
    })
  }
}

/** Removes roles that a failed restore created, except those that somebody uses by now. */
export async function dropRoles(db: Db, names: readonly string[], log: Log): Promise<void> {
  for (const name of names)
    try {
      await db.unsafe(`drop role if exists ${quoteIdent(name)}`)
    } catch (error) {
      if (!isServerError(error) || error.code !== '2BP01') throw error
      log.warn({ role: name }, 'kept the role that this restore created, because somebody uses it by now')
    }
}
