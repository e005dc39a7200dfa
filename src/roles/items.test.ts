import { describe, expect, test } from 'vitest'
import { type DatabaseAction, planned } from './actions.ts'
import { databaseItems } from './items.ts'

type Grant = Extract<DatabaseAction, { do: 'grant' }>
type Revoke = Extract<DatabaseAction, { do: 'revoke' }>

const grant = (more: Partial<Grant> = {}): Grant => ({
  do: 'grant',
  kind: 'table',
  targets: [{ schema: 'public', name: 't', arguments: null }],
  grantee: 'clerk',
  privileges: ['SELECT'],
  column: null,
  withOption: false,
  ...more,
})
const revoke = (more: Partial<Revoke> = {}): Revoke => ({
  ...{ ...grant(), do: 'revoke', grantor: null, optionOnly: false, cascade: false, impossible: false },
  ...more,
})
const atoms = (payload: DatabaseAction) =>
  databaseItems('shop', { actions: [planned(payload, 'do', 'it', 'x')] })[0]!.atoms!

describe('what is compared of a privilege that was reviewed', () => {
  test.for<[string, DatabaseAction, DatabaseAction]>([
    ['its column', grant({ column: 'id' }), grant({ column: 'salary' })],
    ['that it is on one column only', grant({ column: 'id' }), grant()],
    ['the grant option', grant(), grant({ withOption: true })],
    ['to whom', grant(), grant({ grantee: 'PUBLIC' })],
    ['the column that it is taken from', revoke({ column: 'id' }), revoke({ column: 'salary' })],
    ['that only the option is taken', revoke({ optionOnly: true }), revoke()],
    ['what goes with it', revoke(), revoke({ cascade: true })],
    ['who had granted it', revoke(), revoke({ grantor: 'lead' })],
    ['that it is taken', grant(), revoke()],
  ])('%s', ([, one, other]) => {
    expect(atoms(one)[0]!.key).not.toBe(atoms(other)[0]!.key)
  })

  test('a column that is new is a thing of its own; what is taken from it is taken from the table', () => {
    expect(atoms(grant({ column: 'id' }))[0]!.thing).not.toBe(atoms(grant())[0]!.thing)
    expect(atoms(revoke({ column: 'id' }))[0]!.thing).toBe(atoms(revoke())[0]!.thing)
  })
})
