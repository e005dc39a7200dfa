// pure
import type { Change, Warning } from '../plan.ts'
import type {
  CreateOptions,
  DefaultKind,
  GrantableKind,
  MembershipOptions,
  OwnedObject,
  RoleAttribute,
  SessionUser,
  Setting,
} from './types.ts'

/** We become a member of a role that we must act as, and, where that was only for the moment, leave it again. `user`: the one that we connect as. */
export type OwnMembership = { do: 'join' | 'leave'; role: string; user: string; withOptions: boolean }

/** One change to the server as a whole. */
export type ClusterAction =
  | OwnMembership
  | { do: 'drop leftover'; database: string }
  | { do: 'create role'; role: string; login: boolean }
  | { do: 'alter role'; role: string; attribute: 'login' | 'bypassrls' | RoleAttribute; value: boolean }
  | { do: 'limit role'; role: string; connectionLimit: number }
  | { do: 'expire role'; role: string; validUntil: string }
  /** `sent`: a verifier, or the password itself if `plain`. Never shown. */
  | { do: 'set password'; role: string; sent: string; plain: boolean }
  /** `withOptions`: write ADMIN, INHERIT and SET, which exist from PostgreSQL 16 on. */
  | ({
      do: 'grant role'
      role: string
      member: string
      grantor: string | null
      withOptions: boolean
    } & MembershipOptions)
  | ({ do: 'revoke role'; role: string; member: string; grantor: string | null; adminOnly: boolean } & Dependents)
  | { do: 'set'; setting: Setting }
  | {
      do: 'create database'
      database: string
      /** The name of the database until it is complete. */
      temporary: string
      owner: string
      create: CreateOptions
    }
  | { do: 'own database'; database: string; owner: string }
  | { do: 'limit database'; database: string; connectionLimit: number }
  | { do: 'grant on database'; database: string; grantee: string; privileges: string[]; withOption: boolean }
  | ({
      do: 'revoke on database'
      database: string
      grantee: string
      privileges: string[]
      grantor: string | null
      optionOnly: boolean
    } & Dependents)

/** What depends on something that is revoked. */
type Dependents = {
  /** Managed roles got the privilege from it: theirs is revoked with it. */
  cascade: boolean
  /** Other roles got the privilege from it: nothing is revoked, and the difference stays. */
  impossible: boolean
}

/** An object in a schema, as GRANT names it. */
export type GrantTarget = { schema: string | null; name: string; arguments: string | null }

/** One change in a database. `grantor` null: the owner of the object. `column`: only this column. */
export type DatabaseAction =
  | OwnMembership
  | { do: 'create schema'; schema: string; owner: string }
  | { do: 'own schema'; schema: string; owner: string }
  | { do: 'close schema'; schema: string }
  /** `word`: the kind of object, as ALTER names it. */
  | { do: 'reassign'; word: string; objects: OwnedObject[]; owner: string }
  /** `schema` null: its control file names the schema. */
  | { do: 'create extension'; extension: string; schema: string | null; version?: string }
  | { do: 'update extension'; extension: string; version: string }
  | { do: 'move extension'; extension: string; schema: string }
  /** `impossible`: something outside the extension needs it. */
  | { do: 'drop extension'; extension: string; impossible: boolean }
  | {
      do: 'grant'
      kind: GrantableKind
      targets: GrantTarget[]
      grantee: string
      privileges: string[]
      column: string | null
      withOption: boolean
    }
  | ({
      do: 'revoke'
      kind: GrantableKind
      targets: GrantTarget[]
      grantee: string
      privileges: string[]
      grantor: string | null
      column: string | null
      optionOnly: boolean
      /** Who loses something without being named in the file; only in mode `strict`. */
      losers?: string[]
    } & Dependents)
  | {
      do: 'grant default' | 'revoke default'
      creator: string
      schema: string | null
      kind: DefaultKind
      grantee: string
      privileges: string[]
      optionOnly: boolean
      losers?: string[]
    }

/** An action, and the change that is shown for it. */
export type Planned<Action> = { change: Change; payload: Action }

/** The actions, in this order, and warnings about what is not fixed. */
export type Plan<Action> = { session: SessionUser; actions: Planned<Action>[]; changes: Change[]; warnings: Warning[] }

export type ClusterPlan = Plan<ClusterAction>
export type DatabasePlan = Plan<DatabaseAction>
export type GrantsPlan = Plan<DatabaseAction>

/** A plan of these actions; an empty list is an empty plan. */
export const makePlan = <Action>(
  session: SessionUser,
  actions: Planned<Action>[],
  warnings: Warning[],
): Plan<Action> => ({
  session,
  actions,
  changes: actions.map(({ change }) => change),
  warnings,
})

/** An action with its change. */
export const planned = <Action>(payload: Action, action: string, object: string, reason: string): Planned<Action> => ({
  change: { action, object, reason },
  payload,
})

/** CREATE and DROP DATABASE cannot run in a transaction; a password gets its own, because some servers only refuse it at COMMIT. */
export const standsAlone = ({ payload }: { payload: { do: string } }): boolean =>
  ['set password', 'create database', 'drop leftover'].includes(payload.do)

/** Roles that shall have exactly the declared privileges: those that we manage, unless the mode is `additive`. */
export function exactRoles(desired: { mode: string; roles: { name: string; kind: string }[] }): Set<string> {
  if (desired.mode === 'additive') return new Set()
  return new Set(desired.roles.filter(({ kind }) => kind === 'user' || kind === 'group').map(({ name }) => name))
}
