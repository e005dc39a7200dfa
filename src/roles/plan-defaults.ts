// pure
import { usage } from '../errors.ts'
import { type DatabaseAction, type Planned, planned } from './actions.ts'
import { schemaOwner } from './plan-database.ts'
import { spelledOut } from './privileges.ts'
import type { Strangers } from './strict.ts'
import type { CurrentDatabase, CurrentDefault, DefaultKind, DesiredDatabase, DesiredRoles } from './types.ts'

type Actions = Planned<DatabaseAction>[]
type Where = { creator: string; schema: string | null; kind: DefaultKind; grantee: string }

/**
 * Default privileges to grant and to revoke. They belong to the role that creates an object, so there is one entry per creator. Pure.
 *
 * @param exact roles whose undeclared entries are revoked
 */
export function planDefaults(
  desired: DesiredRoles,
  database: DesiredDatabase,
  current: CurrentDatabase,
  exact: Set<string>,
  strangers: Strangers,
): { grants: Actions; revokes: Actions } {
  refuseUnknown(database, current)
  const wanted = wantedDefaults(database, current, false)
  const absent = wantedDefaults(database, current, true)
  for (const [key, { privileges }] of absent)
    for (const privilege of privileges) wanted.get(key)?.privileges.delete(privilege)
  const managed = new Set([
    ...desired.roles.map(({ name }) => name),
    ...[...wanted.values()].map(({ where }) => where.creator),
  ])
  const present = Map.groupBy(current.defaults, keyOf)
  const grants = [...wanted.values()].flatMap(({ where, privileges }) => {
    const held = new Set(heldDefaults(where, current, present))
    const missing = [...privileges].filter((privilege) => !held.has(privilege)).sort()
    return missing.length === 0 ? [] : [describe('grant', where, missing, 'is missing')]
  })

  const surplus = new Map<string, { where: Where; privileges: string[]; optionOnly: boolean }>()
  for (const row of current.defaults) {
    if (absent.get(keyOf(row))?.privileges.has(row.privilege)) continue
    const declared = wanted.get(keyOf(row))?.privileges.has(row.privilege) ?? false
    // An entry for the whole database belongs to its creator; creators that are not declared are left alone.
    if (
      !(exact.has(row.grantee) || strangers.isDefault(row)) ||
      (declared && !row.grantable) ||
      (row.schema === null && !managed.has(row.creator))
    )
      continue
    const key = JSON.stringify([keyOf(row), declared])
    const entry = surplus.get(key) ?? { where: row, privileges: [], optionOnly: declared }
    entry.privileges.push(row.privilege)
    surplus.set(key, entry)
  }
  return {
    grants,
    revokes: [
      ...[...surplus.values()].map(({ where, privileges, optionOnly }) =>
        describe('revoke', where, privileges.sort(), 'is not declared', {
          optionOnly,
          ...(!exact.has(where.grantee) && { losers: [where.grantee] }),
        }),
      ),
      ...[...absent.values()].flatMap(({ where, privileges }) => {
        const held = heldDefaults(where, current, present).filter((privilege) => privileges.has(privilege))
        return held.length === 0 ? [] : [describe('revoke', where, [...new Set(held)].sort(), 'is declared absent')]
      }),
    ],
  }
}

/** What PostgreSQL gives to PUBLIC on every new object, unless its creator has other default privileges for the whole database. */
const builtIn: Partial<Record<DefaultKind, string>> = { routine: 'EXECUTE', type: 'USAGE' }

function heldDefaults(
  where: Where,
  { changedDefaults }: CurrentDatabase,
  present: Map<string, CurrentDefault[]>,
): string[] {
  const { creator, schema, kind, grantee } = where
  const own = (present.get(keyOf(where)) ?? []).map(({ privilege }) => privilege)
  const privilege = builtIn[kind]
  const isBuiltIn =
    schema === null &&
    grantee === 'PUBLIC' &&
    privilege !== undefined &&
    !changedDefaults.some((one) => one.creator === creator && one.kind === kind)
  return isBuiltIn ? [privilege, ...own] : own
}

/** @throws {AppError} `usage` for what this server does not have */
function refuseUnknown({ name, defaults }: DesiredDatabase, { major }: CurrentDatabase): void {
  if (major < 18 && defaults.some(({ kind }) => kind === 'large object'))
    throw usage(`databases.${name}: there are no default privileges on large objects in PostgreSQL ${major}`, {
      hint: 'use PostgreSQL 18 or newer, or remove them',
    })
}

const keyOf = ({ creator, schema, kind, grantee }: Where | CurrentDefault) =>
  JSON.stringify([creator, schema, kind, grantee])

function wantedDefaults(database: DesiredDatabase, current: CurrentDatabase, absent: boolean) {
  const wanted = new Map<string, { where: Where; privileges: Set<string> }>()
  for (const { schema, wide, kind, grantee, privileges, creators, ...more } of database.defaults) {
    if ((more.absent ?? false) !== absent) continue
    const owner = schemaOwner(schema, database, current)
    if (owner === undefined) continue
    for (const creator of creators ?? [owner]) {
      if (creator === grantee) continue
      const where = { creator, schema: wide ? null : schema, kind, grantee }
      const entry = wanted.get(keyOf(where)) ?? { where, privileges: new Set<string>() }
      for (const privilege of spelledOut(kind, privileges, current.major)) entry.privileges.add(privilege)
      wanted.set(keyOf(where), entry)
    }
  }
  return wanted
}

function describe(
  verb: 'grant' | 'revoke',
  where: Where,
  privileges: string[],
  reason: string,
  { optionOnly = false, ...losers }: { optionOnly?: boolean; losers?: string[] } = {},
): Planned<DatabaseAction> {
  const { creator, schema, kind, grantee } = where
  const place = schema === null ? '' : ` in ${schema}`
  const object = `${optionOnly ? 'the grant option of ' : ''}${privileges.join(', ')} on future ${kind}s of ${creator}${place} ${verb === 'grant' ? 'to' : 'from'} ${grantee}`
  return planned(
    { do: `${verb} default`, creator, schema, kind, grantee, privileges, optionOnly, ...losers },
    verb,
    object,
    reason,
  )
}
