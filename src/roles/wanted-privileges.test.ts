import { expect, test } from 'vitest'
import type { CurrentDatabase, CurrentObject, DesiredDatabase, DesiredGrant } from './types.ts'
import { wantedPrivileges } from './wanted-privileges.ts'

const object = (more: Partial<CurrentObject>): CurrentObject => ({
  kind: 'table',
  schema: 's',
  name: 't',
  arguments: null,
  column: null,
  owner: 'own',
  acl: [],
  ...more,
})

const grant = (more: Partial<DesiredGrant>): DesiredGrant => ({
  schema: 's',
  kind: 'table',
  names: null,
  grantee: 'a',
  privileges: ['SELECT'],
  ...more,
})

/** Whether each object is meant by the grants. */
function meant(grants: DesiredGrant[], objects: CurrentObject[]): boolean[] {
  const wanted = wantedPrivileges({ grants } as DesiredDatabase, { objects, major: 18 } as CurrentDatabase)
  return objects.map((one) => wanted.get(one)!.isDeclared('a', grants[0]!.privileges[0]!))
}

test('a grant means objects of its kind and schema, by their names', () => {
  const objects = [
    object({}),
    object({ schema: 'other' }),
    object({ kind: 'sequence' }),
    object({ name: 'u' }),
    object({ column: 'c' }),
  ]
  expect(meant([grant({ names: ['t'] })], objects)).toEqual([true, false, false, false, false])
  expect(meant([grant({})], objects)).toEqual([true, false, false, true, false])
})

test('a routine is named with or without the types of its arguments, a table only by its name', () => {
  const of = (names: string[]) =>
    meant(
      [grant({ kind: 'routine', names, privileges: ['EXECUTE'] })],
      [
        object({ kind: 'routine', name: 'f', arguments: 'integer' }),
        object({ kind: 'routine', name: 'f', arguments: '' }),
      ],
    )
  expect([of(['f']), of(['f(integer)'])]).toEqual([
    [true, true],
    [true, false],
  ])
  expect(meant([grant({ names: ['t(null)'] })], [object({})])).toEqual([false])
})
