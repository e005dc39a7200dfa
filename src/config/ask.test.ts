import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { renew } from './ask.ts'
import { isLoopback, valueAt } from './ask-http.ts'
import { lastAnswer } from './asked.ts'

let dir = ''
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'pgbosun-ask-'))
})
afterAll(() => rmSync(dir, { recursive: true }))

/** Prints how often it was started, by a name of its own. */
function counting(name: string, { ttl = 60_000, before = '' } = {}) {
  const starts = join(dir, name)
  writeFileSync(starts, '')
  const source = { command: ['sh', '-c', `${before} echo x >>${starts}; wc -l <${starts}`], ttl }
  return {
    source,
    ask: async (sinceMs?: number) => {
      await renew(source, 'the secret', { env: { PATH: process.env.PATH }, baseDir: dir }, sinceMs)
      return lastAnswer(source)?.value.trim()
    },
    starts: () => readFileSync(starts, 'utf8').split('\n').length - 1,
  }
}

describe('an answer', () => {
  test('is used until its ttl has passed', async () => {
    const { ask } = counting('ttl', { ttl: 300 })
    expect([await ask(), await ask()]).toEqual(['1', '1'])
    await sleep(310)
    expect(await ask()).toBe('2')
  })

  test('that was refused is asked for again once, by all who were refused', async () => {
    const { ask, starts } = counting('refused')
    await ask()
    const refusedAtMs = performance.now()
    expect(await Promise.all([ask(refusedAtMs), ask(refusedAtMs)])).toEqual(['2', '2'])
    expect(starts()).toBe(2)
  })

  test('that many want at once is asked for once', async () => {
    const { ask, starts } = counting('many')
    expect(new Set(await Promise.all(Array.from({ length: 20 }, () => ask())))).toEqual(new Set(['1']))
    expect(starts()).toBe(1)
  })

  test('that failed is asked for again, but not at once', async () => {
    const { ask, starts } = counting('failed', {
      before: `[ -e ${join(dir, 'there')} ] || { echo x >>${dir}/failed; exit 3; };`,
    })
    for (let i = 0; i < 5; i++) await expect(ask()).rejects.toThrow('exit code 3')
    expect(starts()).toBe(1)
    writeFileSync(join(dir, 'there'), '')
    await sleep(1_050)
    expect(await ask()).toBe('2')
  })
})

describe('what is no secret', () => {
  const around = { env: { PATH: process.env.PATH, HEADER: 'one\ntwo' }, baseDir: '/' }

  test.for(['\\377\\376geheim', 'a\\000b'])('of a command: %s', async (printed) => {
    const source = { command: ['printf', printed], ttl: 0 }
    await expect(renew(source, 'the secret', around)).rejects.toThrow(
      'the secret: the command printf printed something else than text in UTF-8',
    )
  })

  test('is not sent as a header', async () => {
    const source = { http: 'http://127.0.0.1:1/x', headers: { Auth: { env: 'HEADER' } }, ttl: 0 }
    await expect(renew(source, 'the secret', around)).rejects.toMatchObject({ kind: 'usage' })
  })
})

test.for([
  ['127.0.0.1', true],
  ['127.8.0.1', true],
  ['::1', true],
  ['10.0.0.1', false],
  ['::ffff:10.0.0.1', false],
  ['fe80::1', false],
] as const)('%s is this machine: %s', ([address, local]) => {
  expect(isLoopback(address)).toBe(local)
})

test.for([
  ['{"a":"x"}', 'a', 'x'],
  ['{"data":{"data":{"password":"x\\n"}}}', 'data.data.password', 'x\n'],
  ['{"keys":["x","y"]}', 'keys.1', 'y'],
  ['{"a":1}', 'a', undefined],
  ['{"a":null}', 'a.b', undefined],
  ['{}', 'constructor.name', undefined],
  ['"x"', 'length', undefined],
  ['geheim', 'a', undefined],
])('in %s at %s is %s', ([text, path, value]) => {
  expect(valueAt(text!, path!)).toBe(value)
})
