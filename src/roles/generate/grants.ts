// pure
import type { CurrentDefault, CurrentObject, GrantableKind } from '../types.ts'
import { meansAll } from './names.ts'
import type { Part } from './types.ts'

/** By object or column, by grantee, each privilege with whether it may be passed on. */
export type Rest = Map<CurrentObject, Map<string, Map<string, boolean>>>

/** One grant of the file. `open`: it names no objects, although objects of later are not covered by default privileges. */
export type Entry = { grantee: string; part: Part; absent: boolean; open: boolean }

/** So many names are written one by one; more are all of a kind. */
const mostNames = 50

const kinds: GrantableKind[] = [
  'schema',
  'table',
  'sequence',
  'routine',
  'type',
  'language',
  'foreign server',
  'foreign data wrapper',
]

/** What PostgreSQL itself gives to PUBLIC on such an object. */
function builtIn({ kind, schema, column }: CurrentObject): string | undefined {
  if (column !== null) return undefined
  if (kind === 'routine') return 'EXECUTE'
  return kind === 'type' || kind === 'language' || (kind === 'schema' && schema === 'public') ? 'USAGE' : undefined
}

/** The privileges on each object that a file can name. Pure. */
export function restOf(objects: CurrentObject[], nameable: (grantee: string) => boolean): Rest {
  return new Map(
    objects
      .filter((object) => !meansAll(object))
      .map((object) => {
        const held = new Map<string, Map<string, boolean>>()
        for (const { grantee, privilege, grantable } of object.acl) {
          if (!nameable(grantee)) continue
          const own = held.get(grantee) ?? new Map<string, boolean>()
          own.set(privilege, (own.get(privilege) ?? false) || grantable)
          held.set(grantee, own)
        }
        return [object, held]
      }),
  )
}

/**
 * The grants that say this, as few as possible. A grant on all objects of a kind is one on those of later too, so it is only written
 * where default privileges say the same, or where it would name too many. Pure.
 */
export function grantsOn(rest: Rest, defaults: CurrentDefault[]): Entry[] {
  const whole = [...rest].filter(([{ column }]) => column === null)
  const ofColumns = [...rest].filter(([{ column }]) => column !== null)
  return [
    ...kinds.flatMap((kind) => {
      const some = whole.filter(([object]) => object.kind === kind)
      return [...onKind(some, defaults), ...absentOf(some)]
    }),
    ...onColumns(ofColumns),
  ]
}

type Held = [CurrentObject, Map<string, Map<string, boolean>>]

/** A privilege with the grant option is another one than that without. */
const signatures = (object: CurrentObject, grantee: string, own: Map<string, boolean>) =>
  [false, true].flatMap((option) => {
    const privileges = [...own]
      .filter(
        ([privilege, grantable]) => grantable === option && !(grantee === 'PUBLIC' && privilege === builtIn(object)),
      )
      .map(([privilege]) => privilege)
      .sort()
    return privileges.length === 0 ? [] : [{ grantee, privileges, option }]
  })

function onKind(some: Held[], defaults: CurrentDefault[]): Entry[] {
  const items = some.flatMap(([object, held]) =>
    [...held].flatMap(([grantee, own]) => signatures(object, grantee, own).map((key) => ({ key, object }))),
  )
  return [...groups(items)].map(({ key: { grantee, privileges, option }, objects }) => {
    const later = (creator: string) =>
      privileges.every((privilege) => isDefault(defaults, { creator, grantee, privilege }, objects[0]!))
    const { names, open } = namesIn(objects, some, later)
    return {
      grantee,
      absent: false,
      open,
      part: { to: grantee, on: wordOf(objects[0]!), ...names, privileges, ...(option && { grantOption: true }) },
    }
  })
}

/** What PUBLIC has been deprived of. */
function absentOf(some: Held[]): Entry[] {
  const objects = some
    .filter(([object, held]) => builtIn(object) !== undefined && !held.get('PUBLIC')?.has(builtIn(object)!))
    .map(([object]) => object)
  if (objects.length === 0) return []
  const privilege = builtIn(objects[0]!)!
  const { names, open } = namesIn(objects, some, () => false)
  return [
    {
      grantee: 'PUBLIC',
      absent: true,
      open,
      part: { to: 'PUBLIC', on: wordOf(objects[0]!), ...names, privileges: [privilege], ensure: 'absent' },
    },
  ]
}

function onColumns(some: Held[]): Entry[] {
  const items = some.flatMap(([object, held]) =>
    [...held].flatMap(([grantee, own]) =>
      signatures(object, grantee, own).map((key) => ({ key: { table: object.name, ...key }, object })),
    ),
  )
  return [...groups(items)].map(({ key: { table, grantee, privileges, option }, objects }) => ({
    grantee,
    absent: false,
    open: false,
    part: {
      to: grantee,
      on: 'table',
      names: [table],
      columns: objects.map(({ column }) => column),
      privileges,
      ...(option && { grantOption: true }),
    },
  }))
}

function groups<Key>(items: { key: Key; object: CurrentObject }[]): { key: Key; objects: CurrentObject[] }[] {
  const byKey = Map.groupBy(items, ({ key }) => JSON.stringify(key))
  return [...byKey.keys()].sort().map((text) => {
    const group = byKey.get(text)!
    return { key: group[0]!.key, objects: group.map(({ object }) => object) }
  })
}

/** No names where the grant is on all objects of its kind, and those of later get the same. */
function namesIn(objects: CurrentObject[], some: Held[], later: (creator: string) => boolean) {
  if (objects[0]!.kind === 'schema') return { names: {}, open: false }
  const all = objects.length === some.length
  const owners = all ? [...new Set(objects.map(({ owner }) => owner))] : []
  const covered = all && owners.every(later)
  if (covered || (all && objects.length > mostNames)) return { names: {}, open: !covered }
  return { names: { names: objects.map(nameOf) }, open: false }
}

const nameOf = ({ kind, name, arguments: types }: CurrentObject) => (kind === 'routine' ? `${name}(${types})` : name)

const wordOf = ({ kind }: CurrentObject) => kind.replaceAll(/ (\w)/g, (_, letter: string) => letter.toUpperCase())

/** Whether objects of this kind that a role creates there get the privilege; its own it has anyway. */
const isDefault = (
  defaults: CurrentDefault[],
  { creator, grantee, privilege }: { creator: string; grantee: string; privilege: string },
  { kind, schema }: CurrentObject,
) =>
  creator === grantee ||
  defaults.some(
    (row) =>
      row.creator === creator &&
      row.grantee === grantee &&
      row.kind === kind &&
      row.privilege === privilege &&
      (row.schema === schema || row.schema === null),
  )
