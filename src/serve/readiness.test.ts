import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { oneLogin } from './readiness.ts'

/** A server whose logins hang until they are given up, except those that are let through. */
function logins() {
  let [open, most, count] = [0, 0, 0]
  let letThrough: ((session: string) => void) | undefined
  return {
    seen: () => ({ open, most, count }),
    answer: (session: string) => letThrough?.(session),
    async open(endWith: AbortSignal) {
      count++
      most = Math.max(most, ++open)
      try {
        return await new Promise<string>((resolve, reject) => {
          letThrough = resolve
          endWith.addEventListener('abort', () => reject(endWith.reason))
        })
      } finally {
        open--
      }
    },
  }
}

const look = (ms: number) => AbortSignal.timeout(ms)
const never = new AbortController().signal

test('a login that hangs outlives the look that started it, and the next look gets its session', async () => {
  const server = logins()
  const logIn = oneLogin(server.open, never, { firstMs: 60_000, longestMs: 60_000 })
  for (let i = 0; i < 5; i++) await expect(logIn(look(20))).rejects.toThrow()
  server.answer('late')
  expect(await logIn(look(1_000))).toBe('late')
  expect(server.seen()).toEqual({ open: 0, most: 1, count: 1 })
  const next = logIn(look(1_000))
  server.answer('new')
  expect(await next).toBe('new')
})

test('a hanging login is given up after a while, and the next one after a longer while, until one succeeds', async () => {
  const server = logins()
  const logIn = oneLogin(server.open, never, { firstMs: 100, longestMs: 400 })
  const times: number[] = []
  for (let i = 0; i < 4; i++) {
    const from = performance.now()
    await expect(logIn(look(5_000))).rejects.toThrow('the login hangs')
    times.push(performance.now() - from)
  }
  for (const [i, ms] of [100, 200, 400, 400].entries()) expect(times[i]).toBeGreaterThan(ms - 20)
  const last = logIn(look(1_000))
  server.answer('there')
  expect(await last).toBe('there')
  const from = performance.now()
  await expect(logIn(look(5_000))).rejects.toThrow('the login hangs')
  expect(performance.now() - from).toBeLessThan(350)
  expect(server.seen().most).toBe(1)
})

test('a hanging login ends when serve stops', async () => {
  const server = logins()
  const stop = new AbortController()
  const logIn = oneLogin(server.open, stop.signal, { firstMs: 60_000, longestMs: 60_000 })
  await expect(logIn(look(20))).rejects.toThrow()
  expect(server.seen().open).toBe(1)
  stop.abort(new Error('stopping'))
  await sleep(1)
  expect(server.seen().open).toBe(0)
})
