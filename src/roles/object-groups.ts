// pure
import { counted, someOf } from '../units.ts'
import type { CurrentObject, GrantableKind } from './types.ts'

/** Objects that one statement can name together: all of them have the same key. */
export type Group<Key> = { key: Key; objects: CurrentObject[] }

/** Groups objects by the text of a key, in the order of the first object of each group. Pure. */
export function grouped<Key>(items: { key: Key; object: CurrentObject }[]): Group<Key>[] {
  const groups = new Map<string, Group<Key>>()
  for (const { key, object } of items) {
    const text = JSON.stringify(key)
    const group = groups.get(text)
    if (group) group.objects.push(object)
    else groups.set(text, { key, objects: [object] })
  }
  return [...groups.values()]
}

/** An object, as GRANT names it. */
export const target = ({ schema, name, arguments: types }: CurrentObject) => ({ schema, name, arguments: types })

const label = ({ name, arguments: types }: CurrentObject) => (types === null ? name : `${name}(${types})`)

/** `table public.users`, `column id of table public.users`, `3 tables in public`; all objects are of one kind. */
export function inWords(objects: CurrentObject[]): string {
  const [first] = objects as [CurrentObject]
  const { kind, schema, column } = first
  if (kind === 'schema') return `schema ${schema}`
  const place = schema === null ? '' : ` in ${schema}`
  const what =
    objects.length === 1
      ? `${kind} ${schema === null ? '' : `${schema}.`}${label(first)}`
      : `${counted(objects.length, kind satisfies GrantableKind)}${place}`
  return column === null ? what : `column ${column} of ${what}`
}

/** The names of the first objects. */
export const shortList = (objects: CurrentObject[]): string => someOf(objects.map(label), ', ', 5)
