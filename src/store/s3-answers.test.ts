import { expect, test } from 'vitest'
import { isAbsent, isTemporary, retryAfterMs } from './s3-answers.ts'

const answered = (status: number, name = 'Unknown', headers: Record<string, string> = {}) => ({
  name,
  $metadata: { httpStatusCode: status },
  $response: { headers },
})

test.for([
  [answered(500), true],
  [answered(503, 'SlowDown'), true],
  [answered(429), true],
  [answered(409, 'OperationAborted'), true],
  [answered(400, 'RequestTimeout'), true],
  [answered(501, 'NotImplemented'), false],
  [answered(507), false],
  [answered(403, 'AccessDenied'), false],
  [answered(404, 'NoSuchBucket'), false],
  [{ code: 'ECONNRESET' }, true],
  [{ code: 'EAI_AGAIN' }, true],
  [{ name: 'TimeoutError' }, true],
  [{ code: 'CERT_HAS_EXPIRED' }, false],
  [new Error('of a program'), false],
] as const)('%j is asked again: %s', ([error, again]) => expect(isTemporary(error)).toBe(again))

test('a bucket that is not there is no absent object', () => {
  expect(isAbsent(answered(404, 'NoSuchKey'))).toBe(true)
  expect(isAbsent(answered(404, 'NotFound'))).toBe(true)
  expect(isAbsent(answered(404))).toBe(true)
  expect(isAbsent(answered(404, 'NoSuchBucket'))).toBe(false)
})

test('a server may ask to wait, but not for hours', () => {
  expect(retryAfterMs(answered(503, 'SlowDown', { 'retry-after': '3' }))).toBe(3000)
  expect(retryAfterMs(answered(503, 'SlowDown', { 'retry-after': '7200' }))).toBe(60_000)
  expect(retryAfterMs(answered(503, 'SlowDown', { 'retry-after': 'Mon, 30 Nov 2026 00:00:00 GMT' }))).toBe(0)
  expect(retryAfterMs(answered(503))).toBe(0)
})
