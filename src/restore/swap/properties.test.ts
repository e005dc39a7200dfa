import { describe, expect, test } from 'vitest'
import type { Manifest } from '../../archive/manifest.ts'
import { labelStatements, propertyDifferences, withPropertiesOf } from './properties.ts'

const then: Manifest['database'] = {
  name: 'shop',
  owner: 'old_owner',
  encoding: 'UTF8',
  locale_provider: 'libc',
  collate: 'C',
  ctype: 'C',
  locale: null,
  icu_rules: null,
  connection_limit: -1,
  acl: null,
  settings: [{ role: null, name: 'work_mem', value: '4MB' }],
  comment: null,
  size_bytes: 1,
}
const now: Manifest['database'] = {
  ...then,
  owner: 'new_owner',
  collate: 'de_DE.utf8',
  connection_limit: 50,
  acl: [{ grantee: 'app', privilege: 'CONNECT', grantable: true }],
  settings: [{ role: 'app', name: 'app.token', value: 'hunter2' }],
  comment: 'the shop',
}

describe('a database that replaces another', () => {
  test('belongs to whom it belongs now, but sorts like the backup', () => {
    expect(withPropertiesOf({ database: then } as Manifest, now).database).toEqual({ ...now, collate: 'C' })
  })

  test('has the security labels of the old one', () => {
    expect(labelStatements('Shop "1"', [{ provider: 'dummy', label: "it's secret" }])).toEqual([
      `security label for "dummy" on database "Shop ""1""" is 'it''s secret'`,
    ])
  })

  test('is said to differ from the backup, without values, which may be secrets', () => {
    expect(propertyDifferences(then, now)).toEqual([
      'owner: new_owner now, old_owner in the backup',
      'connection limit: 50 now, -1 in the backup',
      'comment: "the shop" now, null in the backup',
      'privilege PostgreSQL’s defaults: only in the backup',
      'privilege CONNECT for app with grant option: only now',
      'setting work_mem: only in the backup',
      'setting app.token of role app: only now',
    ])
    expect(propertyDifferences(now, now)).toEqual([])
    const other = { ...then, settings: [{ role: null, name: 'work_mem', value: '8MB' }] }
    expect(propertyDifferences(then, other)).toEqual(['setting work_mem: another value in the backup'])
  })
})
