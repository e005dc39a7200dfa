import { describe, expect, test } from 'vitest'
import { storedOn as backup, damaged } from '../../test/support/stored.ts'
import type { Backup } from './backup.ts'
import { mergeBackups } from './merge.ts'

const merge = (...stores: Backup[][]) =>
  mergeBackups(stores.map((backups, i) => ({ store: i, name: `store ${i}`, backups }))).map(({ backup, stores }) => ({
    id: backup.id,
    stores,
    names: backup.stores,
    ok: backup.verification?.ok,
    pinned: backup.pinned,
  }))

describe('the backups of several stores', () => {
  test('are each there once, oldest first, with the stores that have it', () => {
    expect(merge([backup('2'), backup('3')], [backup('1'), backup('2')])).toMatchObject([
      { id: '1', stores: [1], names: ['store 1'] },
      { id: '2', stores: [0, 1], names: ['store 0', 'store 1'] },
      { id: '3', stores: [0], names: ['store 0'] },
    ])
  })

  test('are good where one copy is, and that one is read first', () => {
    expect(merge([backup('1', damaged)], [backup('1')])).toMatchObject([{ stores: [1, 0], ok: true }])
    expect(merge([backup('1', { problem: 'no' })], [backup('1', { verification: undefined })])).toMatchObject([
      { stores: [1, 0], ok: undefined },
    ])
    expect(merge([backup('1', damaged)], [backup('1', { problem: 'no' })])).toMatchObject([
      { stores: [0, 1], ok: false },
    ])
  })

  test('are pinned where any copy is', () => {
    expect(merge([backup('1')], [backup('1', { pinned: true })])).toMatchObject([{ pinned: true, stores: [0, 1] }])
  })
})
