import type { AppError } from '../../errors.ts'
import type { Change, Item } from '../../plan.ts'
import type { ClusterPlan } from '../../roles/actions.ts'
import type { ClosedDatabase } from './closed-databases.ts'
import type { Owners } from './ownership.ts'
import type { Removal } from './removal.ts'

/** What differs from the declaration, and what is wrong with it. */
export type RoleDrift = {
  ensure: Change[]
  grant: Change[]
  /** Those of `ensure` that do not depend on who we are. */
  more: Change[]
  cluster: ClusterPlan
  owners: Owners
  /** Databases that do not exist yet. */
  absent: string[]
  /** Databases that were left out, because we may not enter them. */
  closed: ClosedDatabase[]
  /** Applications that cannot work as declared, as messages. */
  lockedOut: string[]
  /** Why `up` would change nothing. */
  refusal: AppError | undefined
  /** Schemas in which everyone may create objects, with what to do. */
  open: string[]
  /** What roles that the file does not name would lose, which nobody accepted. */
  losses: string[]
  /** The roles that are removed. */
  removals: Removal[]
  reviewable: ReviewableRoles
}

/** The same, for a plan that is reviewed. `things`: what exists in the databases, as an atom names it. */
export type ReviewableRoles = { ensure: (() => Item[])[]; grant: (() => Item[])[]; things: (() => string[])[] }
