// pure
import type { Change } from '../plan.ts'
import type { DefaultKind, GrantableKind, OwnedObject, SessionUser, Setting } from './types.ts'

/** One thing to do to the server as a whole. */
export type ClusterAction =
  | { do: 'drop leftover'; database: string }
  | { do: 'create role'; role: string; login: boolean }
  | { do: 'alter role'; role: string; attribute: 'login' | 'inherit' | 'bypassrls'; value: boolean }
  | { do: 'limit role'; role: string; connectionLimit: number }
  | { do: 'expire role'; role: string; validUntil: string }
  | { do: 'set password'; role: string; verifier: string }
  /** `withOptions`: spell ADMIN, INHERIT and SET, which exist from PostgreSQL 16 on. */
  | { do: 'grant role'; role: string; member: string; grantor: string | null; withOptions: boolean }
  | ({ do: 'revoke role'; role: string; member: string; grantor: string | null; adminOnly: boolean } & Dependents)
  | { do: 'set'; setting: Setting }
  | {
      do: 'create database'
      database: string
      /** Name until it is complete. */
      temporary: string
      owner: string
      create: { encoding?: string; locale?: string; template?: string }
    }
  | { do: 'own database'; database: string; owner: string }
  | { do: 'limit database'; database: string; connectionLimit: number }
  | { do: 'grant on database'; database: string; grantee: string; privileges: string[] }
  | ({
      do: 'revoke on database'
      database: string
      grantee: string
      privileges: string[]
      grantor: string | null
      optionOnly: boolean
    } & Dependents)

/** What hangs on something that is revoked. */
type Dependents = {
  /** Managed roles have it from there: it goes with it. */
  cascade: boolean
  /** Others have it from there: nothing is done, and the difference stays. */
  impossible: boolean
}

/** A thing in a schema, as a GRANT names it. */
export type GrantTarget = { schema: string; name: string; arguments: string | null }

/** One thing to do in a database. `grantor` null: the owner of the thing. `columns`: only these columns. */
export type DatabaseAction =
  | { do: 'create schema'; schema: string; owner: string }
  | { do: 'own schema'; schema: string; owner: string }
  | { do: 'close schema'; schema: string }
  /** `word` as ALTER names the kind. */
  | { do: 'reassign'; word: string; objects: OwnedObject[]; owner: string }
  /** `schema` null: its control file names one. */
  | { do: 'create extension'; extension: string; schema: string | null; version?: string }
  | { do: 'update extension'; extension: string; version: string }
  | { do: 'move extension'; extension: string; schema: string }
  | { do: 'grant'; kind: GrantableKind; targets: GrantTarget[]; grantee: string; privileges: string[] }
  | ({
      do: 'revoke'
      kind: GrantableKind
      targets: GrantTarget[]
      grantee: string
      privileges: string[]
      grantor: string | null
      column: string | null
      optionOnly: boolean
    } & Dependents)
  | {
      do: 'grant default' | 'revoke default'
      creator: string
      schema: string | null
      kind: DefaultKind
      grantee: string
      privileges: string[]
      optionOnly: boolean
    }

/** An action with what is shown of it. */
export type Planned<Action> = { change: Change; payload: Action }

/** What will be done, in this order, and what will not be mended but should be known. */
export type Plan<Action> = { session: SessionUser; actions: Planned<Action>[]; changes: Change[]; warnings: string[] }

export type ClusterPlan = Plan<ClusterAction>
export type DatabasePlan = Plan<DatabaseAction>
export type GrantsPlan = Plan<DatabaseAction>

/** A plan of these actions; an empty list is an empty plan. */
export const makePlan = <Action>(
  session: SessionUser,
  actions: Planned<Action>[],
  warnings: string[],
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

/** Roles whose privileges are exactly the declared ones: those we manage, in mode `declared`. */
export function exactRoles(desired: { mode: string; roles: { name: string; kind: string }[] }): Set<string> {
  if (desired.mode !== 'declared') return new Set()
  return new Set(desired.roles.filter(({ kind }) => kind === 'user' || kind === 'group').map(({ name }) => name))
}
