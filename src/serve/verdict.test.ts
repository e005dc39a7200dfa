import { expect, test } from 'vitest'
import type { Condition } from '../check/condition-catalogue.ts'
import { newBackupState } from './state.ts'
import { verdictIn } from './verdict.ts'

const looked = { ...newBackupState('shop'), looked: true }
const up = { ok: true, finishedAt: '2026-03-01T00:00:00.000Z', error: null }
const declared = { problem: undefined, unlooked: [], shown: undefined }
const fine = {
  declared,
  conditions: [],
  looked: new Set(['database-unreachable' as const]),
  backups: [looked],
  up,
  upWanted: true,
}
const empty: Condition = {
  ...{ name: 'store-empty', severity: 'error', roles: [], database: 'shop' },
  ...{ message: 'there is none', hint: 'make one', since: '2026-03-01T00:00:00.000Z' },
}

test('serve is safe once it has looked at everything', () => {
  expect(verdictIn(fine)).toEqual({ verdict: 'SAFE', unlooked: [] })
  expect(verdictIn({ ...fine, up: null, upWanted: false })).toEqual({ verdict: 'SAFE', unlooked: [] })
})

test.each([
  ['up', { up: null }, 'what is declared: `up` is not done yet'],
  ['what is declared', { declared: undefined as unknown as typeof declared }, 'what is declared'],
  ['the database', { looked: new Set([]) as typeof fine.looked }, 'the database'],
  ['a store', { backups: [looked, newBackupState('app')] }, 'the store of the backups of app'],
])('nothing is known before it has looked at %s', (_, part, what) => {
  expect(verdictIn({ ...fine, ...part })).toEqual({ verdict: 'UNKNOWN', unlooked: [what] })
  expect(verdictIn({ ...fine, ...part, conditions: [empty] }).verdict).toBe('NOT SAFE')
})

test('a store that cannot be read was looked at: its condition says so', () => {
  const backups = [{ ...looked, looked: false, storeProblem: 'gone' }]
  expect(verdictIn({ ...fine, backups })).toEqual({ verdict: 'SAFE', unlooked: [] })
  const unreadable: Condition = { ...empty, name: 'store-unreadable' }
  expect(verdictIn({ ...fine, backups, conditions: [unreadable] }).verdict).toBe('UNKNOWN')
})
