import { expect, test } from 'vitest'
import type { Backup, Encryption } from './backup.ts'
import { decryptions } from './decryptions.ts'

const at = (day: number) => new Date(Date.UTC(2026, 10, day))
const backup = (change: Partial<Backup>) => change as Backup
const encrypted = (since: number, decryptedAt?: number): { encryption: Encryption } => ({
  encryption: {
    recipients: [],
    since: at(since),
    decryptedAt: decryptedAt === undefined ? undefined : at(decryptedAt),
  },
})
const verification = (decryptedAt?: Date) => ({ at: at(20), ok: true, problem: null, decryptedAt })
const restoreTest = (ok: boolean, day: number) => ({ at: at(day), ok, problem: null, durationMs: 1, server: 's' })

test('the first instant of encryption and the last decryption are those that any backup knows of', () => {
  expect(decryptions([])).toEqual({})
  expect(decryptions([backup({ verification: verification(at(9)) })])).toEqual({})
  expect(decryptions([backup(encrypted(3)), backup(encrypted(2, 5)), backup(encrypted(4))])).toEqual({
    since: at(2),
    decryptedAt: at(5),
  })
  expect(
    decryptions([backup({ ...encrypted(3), verification: verification(at(7)) }), backup(encrypted(3, 5))]),
  ).toEqual({
    since: at(3),
    decryptedAt: at(7),
  })
})

test('a test restore decrypts, a failed one perhaps not', () => {
  expect(decryptions([backup({ ...encrypted(3), restoreTest: restoreTest(true, 8) })]).decryptedAt).toEqual(at(8))
  expect(decryptions([backup({ ...encrypted(3), restoreTest: restoreTest(false, 8) })]).decryptedAt).toBeUndefined()
})
