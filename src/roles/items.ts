// pure
import { createHash } from 'node:crypto'
import type { Atom, Item } from '../plan.ts'
import { quoteIdent } from '../sql/quote.ts'
import type { ClusterPlan, DatabaseAction, GrantsPlan, GrantTarget } from './actions.ts'
import type { ReassignPlan } from './plan-ownership.ts'
import { clusterSql, databaseSql } from './statements.ts'
import type { CurrentDatabase } from './types.ts'

/** The plan for the server, to be reviewed. A password is only named: its verifier is a secret, and has a new salt in every plan. */
export const clusterItems = ({ actions }: Pick<ClusterPlan, 'actions'>): Item[] =>
  actions.map(({ change, payload }): Item => {
    if (payload.do === 'set password') return change
    // the temporary name is another one in every plan
    const action = payload.do === 'create database' ? { ...payload, temporary: payload.database } : payload
    return { ...change, sql: clusterSql(action) }
  })

/** The plan for one database, to be reviewed. */
export const databaseItems = (database: string, { actions }: Pick<GrantsPlan, 'actions'>): Item[] =>
  actions.map(({ change, payload }) => ({
    ...change,
    object: `${change.object} (database ${database})`,
    sql: databaseSql(payload),
    atoms: atomsOf(database, payload),
  }))

/** The handover of objects, to be reviewed: the checksum covers what each object is and does, which its name does not show. */
export const reassignItems = (database: string, { actions }: Pick<ReassignPlan, 'actions'>): Item[] =>
  actions.map(({ change, payload }) => {
    const item = { ...change, object: `${change.object} (database ${database})` }
    if (payload.do !== 'reassign') return { ...item, sql: databaseSql(payload) }
    const { word, objects, owner } = payload
    const sql = objects.map(({ identity }) => `alter ${word} ${identity} owner to ${quoteIdent(owner)}`)
    return { ...item, sql, sha256: createHash('sha256').update(JSON.stringify(objects)).digest('hex') }
  })

/** The privileges that an action gives or takes, one by one; none for an action of another kind. */
function atomsOf(database: string, action: DatabaseAction): Atom[] {
  if (action.do === 'grant' || action.do === 'revoke') {
    const { do: what, kind, grantee, privileges, column, targets } = action
    const more = what === 'revoke' ? [action.optionOnly, action.cascade, action.grantor] : [action.withOption]
    return targets.flatMap((target) => {
      // what is granted on a column is declared, so it is known whether the column existed
      const thing = thingOf(database, kind, { ...target, column: what === 'grant' ? column : null })
      return privileges.map((privilege) => ({
        key: JSON.stringify([what, thing, column, grantee, privilege, more]),
        thing,
      }))
    })
  }
  if (action.do !== 'grant default' && action.do !== 'revoke default') return []
  const { do: what, creator, schema, kind, grantee, privileges, optionOnly } = action
  const thing =
    schema === null
      ? asThing(database)
      : thingOf(database, 'schema', { schema, name: schema, arguments: null, column: null })
  return privileges.map((privilege) => ({
    key: JSON.stringify([what, database, creator, schema, kind, grantee, privilege, optionOnly]),
    thing,
  }))
}

type Thing = GrantTarget & { column: string | null }

const thingOf = (database: string, kind: string, { schema, name, arguments: types, column }: Thing) =>
  JSON.stringify([database, kind, schema, name, types, column])

const asThing = (database: string) => JSON.stringify([database])

/** A database and everything in it that a plan of privileges can be about, as an {@link Atom} names it. */
export const thingsIn = (database: string, { objects }: CurrentDatabase): string[] => [
  asThing(database),
  ...objects.map((object) => thingOf(database, object.kind, object)),
]
