import { expect, test } from 'vitest'
import { silentLog } from '../log.ts'
import { answerFrom, startProbe } from './probe.ts'
import type { ProbeAnswer } from './state.ts'

const ok: ProbeAnswer = { ok: true, text: 'ok' }

test('the answer is the result of the last look, until that is older than 10 s', () => {
  expect(answerFrom({ health: ok, atMs: 1_000 }, 11_000)).toEqual(ok)
  expect(answerFrom({ health: ok, atMs: 1_000 }, 13_000)).toEqual({
    ok: false,
    text: 'not ready: the state of the database is not known',
    reason: 'unknown: the last look at the database was 12 s ago',
    kind: 'unknown',
  })
  expect(answerFrom(undefined, 0).ok).toBe(false)
})

test('there is one look at a time, however many requests there are, and each look has a time limit', async () => {
  const stop = new AbortController()
  let [looking, most, looks] = [0, 0, 0]
  const probe = startProbe({
    log: silentLog,
    isTold: () => true,
    signal: stop.signal,
    async look(signal) {
      looks++
      most = Math.max(most, ++looking)
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
      looking--
      return { ok: false, text: 'hung' }
    },
  })
  const startedAt = performance.now()
  const answers = await Promise.all(Array.from({ length: 100 }, () => probe.known()))
  expect(performance.now() - startedAt).toBeLessThan(1_000)
  expect(answers.every((known) => known === undefined)).toBe(true)
  expect([looks, most]).toEqual([1, 1])
  await probe.again()
  expect(await probe.known()).toMatchObject({ health: { reason: 'the database does not answer within 2s' } })
  expect(most).toBe(1)
  stop.abort()
}, 15_000)
