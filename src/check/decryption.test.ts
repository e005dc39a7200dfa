import { expect, test } from 'vitest'
import { judgeDecryption } from './decryption.ts'

const now = new Date('2026-11-30T03:00:00Z')
const daysAgo = (days: number) => new Date(now.getTime() - days * 86_400_000)

test('35 days after the last decryption, or after the first encrypted backup, somebody is asked for one', () => {
  const judge = (since: number, decrypted?: number) =>
    judgeDecryption(
      'shop',
      { since: daysAgo(since), decryptedAt: decrypted === undefined ? undefined : daysAgo(decrypted) },
      now,
    )
  expect(judge(34.9)).toBeUndefined()
  expect(judge(400, 34.9)).toBeUndefined()
  expect(judge(36)).toBe(
    'no backup of shop was ever decrypted, and they have been encrypted for 36 days: nothing shows that their identity still exists',
  )
  expect(judge(400, 36)).toBe(
    'no backup of shop was decrypted for 36 days: nothing shows that their identity still exists',
  )
  expect(judgeDecryption('shop', undefined, now)).toBeUndefined()
})
