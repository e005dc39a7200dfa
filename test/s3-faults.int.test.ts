import { createHash, randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3'
import { afterAll, test as base, describe, expect } from 'vitest'
import { keepFewRecords, readLaterVerification, recordVerification } from '../src/archive/records.ts'
import { silentLog } from '../src/log.ts'
import { getText, putText, unpack } from '../src/store/pack.ts'
import { s3Store } from '../src/store/s3.ts'
import type { Store } from '../src/store/store.ts'
import { collect } from './contracts/store.ts'
import { keys, settingsFor, startMoto, startSeaweed } from './support/s3.ts'
import { type Asked, type S3Proxy, startS3Proxy } from './support/s3-proxy.ts'

const server = (await startSeaweed()) ?? (await startMoto())
afterAll(async () => server?.end())

const partBytes = 5 * 2 ** 20
const patience = { pauseMs: 5, totalMs: 3_000, firstMs: 3_000, answerMs: 1_500, idleMs: 1_500 }

type Fixtures = { url: string; proxy: S3Proxy; store: Store; again: (change?: object) => Store }

let bucket: string | undefined
let tests = 0

/** A store of its own, through a proxy. `again`: another one of the same place, without it. */
const test = base.extend<Fixtures>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest demands the destructuring
  url: async ({}, use) => {
    bucket ??= await server!.bucket()
    await use(`s3://${bucket}/test-${++tests}`)
  },
  // biome-ignore lint/correctness/noEmptyPattern: vitest demands the destructuring
  proxy: async ({}, use) => {
    const proxy = await startS3Proxy(server!.port)
    await use(proxy)
    proxy.close()
  },
  store: async ({ url, proxy }, use) => use(s3Store(url, settingsFor(proxy.endpoint), { partBytes, patience })),
  again: async ({ url }, use) =>
    use((change = {}) => s3Store(url, server!.settings, { partBytes, patience, ...change })),
})

const isPart = ({ method, path }: Asked, number?: number) =>
  method === 'PUT' && new RegExp(`partNumber=${number ?? '\\d+'}(&|$)`).test(path)
const isComplete = ({ method, path }: Asked) => method === 'POST' && path.includes('uploadId=')
const isPut = ({ method, path }: Asked) => method === 'PUT' && !path.includes('partNumber')

/** The same fault for the first so many of some requests. */
const first = <F>(times: number, which: (asked: Asked) => boolean, fault: F) => {
  let left = times
  return (asked: Asked) => (which(asked) && left-- > 0 ? fault : undefined)
}

const bytes = randomBytes(3 * partBytes + 12_345)
const sha256 = (data: Buffer) => createHash('sha256').update(data).digest('hex')

async function write(store: Store, key: string, data: Buffer): Promise<void> {
  const upload = await store.open(key)
  try {
    for (let at = 0; at < data.length; at += 300_000) await upload.write(data.subarray(at, at + 300_000))
    await upload.commit()
  } catch (error) {
    await upload.abort()
    throw error
  }
}

async function read(store: Store, key: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of await store.read(key)) chunks.push(Buffer.from(chunk as Buffer))
  return Buffer.concat(chunks)
}

const uploadsOf = async (url: string) => {
  const [, Bucket, prefix] = /^s3:\/\/([^/]+)\/(.*)/.exec(url)!
  const { Uploads = [] } = await server!.client.send(new ListMultipartUploadsCommand({ Bucket, Prefix: `${prefix}/` }))
  return Uploads
}
const keysOf = async (store: Store) => (await collect(store.list(''))).map(({ key }) => key)

describe.runIf(server !== undefined)('a server that fails', () => {
  test.for([500, 503, 429])('with %i for a moment is asked again', async (status, { store, proxy, again }) => {
    const seen = new Map<string, number>()
    proxy.fault = ({ method, path }) => {
      const times = (seen.get(method + path) ?? 0) + 1
      seen.set(method + path, times)
      return times <= 2 ? { status, code: 'SlowDown' } : undefined
    }
    await write(store, 'shop/1/dump', bytes)
    expect(sha256(await read(again(), 'shop/1/dump'))).toBe(sha256(bytes))
    expect(await keysOf(store)).toEqual(['shop/1/dump'])
    expect(sha256(await read(store, 'shop/1/dump'))).toBe(sha256(bytes))
    await store.delete('shop/1/dump')
    expect(await keysOf(again())).toEqual([])
  })

  test('an object that is created once is ours although the answer was lost, and somebody else’s if it is not', async ({
    proxy,
    store,
    again,
  }) => {
    const lost = (key: string) => {
      let left = 1
      proxy.fault = (asked) => (isPut(asked) && asked.path.includes(key) && left-- > 0 ? 'lose the answer' : undefined)
    }
    lost('.once')
    expect(await store.create!('shop/x', 'ours')).toBe(true)
    lost('shop/y')
    expect(await store.create!('shop/y', 'ours')).toBe(true)
    expect(await getText(again(), 'shop/y')).toBe('ours')
    lost('shop/x')
    expect(await store.create!('shop/x', 'other')).toBe(false)
    expect(await getText(again(), 'shop/x')).toBe('ours')
  })

  test.for([
    ['takes a second object like the first', { status: 200 }],
    ['does not know the condition', { status: 501, code: 'NotImplemented' }],
    ['refuses the header', { status: 400, code: 'InvalidArgument' }],
  ] as const)('a server that %s creates nothing', async ([, fault], { proxy, store, again }) => {
    proxy.fault = ({ headers }) => ('if-none-match' in headers ? fault : undefined)
    expect(await store.create!('shop/x', 'text')).toBe(undefined)
    expect(await store.create!('shop/x', 'text')).toBe(undefined)
    expect(await getText(again(), 'shop/x')).toBe(undefined)
    // the second time it is known
    expect(proxy.asked.filter(({ headers }) => 'if-none-match' in headers).length).toBeLessThanOrEqual(2)
  })

  test('whether a server refuses is asked again where it was not answered', async ({ proxy, store }) => {
    proxy.fault = () => ({ status: 503, code: 'SlowDown' })
    await expect(store.create!('shop/x', 'text')).rejects.toMatchObject({ kind: 'backup' })
    proxy.fault = () => undefined
    expect(await store.create!('shop/x', 'text')).toBe(true)
  })

  test('for good ends within the time limit, and says so', async ({ store, proxy }) => {
    proxy.fault = () => ({ status: 503, code: 'SlowDown' })
    const startedAt = performance.now()
    for (const call of [() => putText(store, 'shop/x', 'x'), () => keysOf(store), () => getText(store, 'shop/x')])
      await expect(call()).rejects.toMatchObject({ kind: 'backup', message: expect.stringContaining('is too busy') })
    expect(performance.now() - startedAt).toBeLessThan(15_000)
  })

  test('in the middle of a part gets that part again', async ({ store, proxy, again }) => {
    proxy.fault = first(2, (asked) => isPart(asked, 2), { cutAfter: 1_000_000 })
    await write(store, 'shop/1/dump', bytes)
    expect(proxy.asked.filter((asked) => isPart(asked, 2))).toHaveLength(3)
    expect(sha256(await read(again(), 'shop/1/dump'))).toBe(sha256(bytes))
  })

  test('shows nothing of an upload that may not go on, and keeps no part of it', async ({
    url,
    store,
    proxy,
    again,
  }) => {
    proxy.fault = (asked) => (isPart(asked, 2) ? { status: 403, code: 'AccessDenied' } : undefined)
    await expect(write(store, 'shop/1/dump', bytes)).rejects.toMatchObject({
      kind: 'backup',
      message: expect.stringContaining('access denied'),
      hint: expect.stringContaining('s3:PutObject'),
    })
    expect(await keysOf(again())).toEqual([])
    expect(await uploadsOf(url)).toEqual([])
  })

  test('after an upload has taken place: what is there, and ours, is a success', async ({ store, proxy, again }) => {
    proxy.fault = first(1, (asked) => isComplete(asked), 'lose the answer' as const)
    await write(store, 'shop/1/dump', bytes)
    proxy.fault = first(1, (asked) => isPut(asked), 'lose the answer' as const)
    await putText(store, 'shop/1/manifest', 'whole')
    // not even asking again helps
    proxy.fault = (asked) => (isPut(asked) ? 'lose the answer' : undefined)
    await putText(store, 'shop/1/other', 'whole, too')
    expect(sha256(await read(again(), 'shop/1/dump'))).toBe(sha256(bytes))
    expect(await getText(again(), 'shop/1/manifest')).toBe('whole')
    expect(await getText(again(), 'shop/1/other')).toBe('whole, too')
  })

  test("before an upload has taken place: somebody else's object is no success", async ({ store, proxy, again }) => {
    await putText(again(), 'shop/1/manifest', 'theirs')
    proxy.fault = (asked) => (isPut(asked) ? { cutAfter: 0 } : undefined)
    await expect(putText(store, 'shop/1/manifest', 'mine!!')).rejects.toMatchObject({ kind: 'backup' })
    expect(await getText(again(), 'shop/1/manifest')).toBe('theirs')
  })

  test('and keeps fewer bytes than it was given is found at once', async ({ store, proxy }) => {
    proxy.fault = ({ method }) => (method === 'HEAD' ? { changed: { 'content-length': '5' } } : undefined)
    await expect(putText(store, 'shop/1/manifest', 'whole')).resolves.toBeUndefined()
    await expect(putText(store, 'shop/1/manifest', 'longer')).rejects.toMatchObject({
      kind: 'backup',
      message: expect.stringContaining('has 5 bytes there instead of 6'),
    })
  })

  test('in the middle of a read goes on where it broke off', async ({ store, proxy, again }) => {
    await write(again(), 'shop/1/dump', bytes)
    proxy.fault = first(4, ({ method }) => method === 'GET', { cutAnswerAfter: 3_000_000 })
    expect(sha256(await read(store, 'shop/1/dump'))).toBe(sha256(bytes))
    const ranges = proxy.asked.filter(({ method }) => method === 'GET').map(({ headers }) => headers.range)
    expect(ranges).toHaveLength(5)
    expect(ranges.slice(1).every((range) => /^bytes=[1-9]\d*-$/.test(range!))).toBe(true)
  })

  test('never mixes two objects in one read', async ({ store, proxy, again }) => {
    await write(again(), 'shop/1/dump', bytes)
    proxy.fault = first(1, ({ method }) => method === 'GET', { cutAnswerAfter: 3_000_000 })
    const body = await store.read('shop/1/dump')
    await write(again(), 'shop/1/dump', randomBytes(bytes.length))
    await expect(collect(body)).rejects.toMatchObject({
      kind: 'backup',
      reason: 'store-unreadable',
      message: expect.stringContaining('was replaced or deleted while it was being read'),
    })
  })

  test('in every read ends it', async ({ store, proxy, again }) => {
    await write(again(), 'shop/1/dump', bytes)
    let bodies = 0
    proxy.fault = ({ method }) => (method === 'GET' ? { cutAnswerAfter: ++bodies === 1 ? 3_000_000 : 0 } : undefined)
    await expect(read(store, 'shop/1/dump')).rejects.toMatchObject({ kind: 'backup', reason: 'store-unreadable' })
  })

  test('waits for a reader that does something else for long', async ({ store, again }) => {
    await write(again(), 'shop/1/dump', bytes)
    const got: Buffer[] = []
    for await (const chunk of await store.read('shop/1/dump')) {
      if (got.length === 1) await sleep(patience.idleMs * 2)
      got.push(Buffer.from(chunk as Buffer))
    }
    expect(sha256(Buffer.concat(got))).toBe(sha256(bytes))
  })

  test('to answer ends a call, and every call once it is given up', async ({ store, proxy }) => {
    proxy.fault = () => 'hang'
    const startedAt = performance.now()
    await expect(keysOf(store)).rejects.toMatchObject({ message: expect.stringContaining('does not answer') })
    expect(performance.now() - startedAt).toBeLessThan(10_000)
    const given = Promise.allSettled([keysOf(store), putText(store, 'shop/x', 'x'), store.checkWritable()])
    await sleep(50)
    store.giveUp(new Error('given up'))
    for (const { status, reason } of (await given) as PromiseRejectedResult[])
      expect([status, reason.message]).toEqual(['rejected', 'given up'])
    proxy.fault = () => undefined
    expect(await keysOf(store)).toEqual([])
  })

  test('to answer ends a read that is given up, and never takes it up again', async ({ store, proxy, again }) => {
    await write(again(), 'shop/1/dump', bytes)
    const body = await store.read('shop/1/dump')
    store.giveUp(new Error('given up'))
    await expect(collect(body)).rejects.toThrow('given up')
    expect(proxy.asked.filter(({ method }) => method === 'GET')).toHaveLength(1)
  })

  test('to say which uploads are unfinished: nothing is swept where it cannot, and it is named where it may not', async ({
    store,
    proxy,
  }) => {
    proxy.fault = () => ({ status: 501, code: 'NotImplemented' })
    expect(await store.sweep('', 0)).toEqual([])
    proxy.fault = () => ({ status: 403, code: 'AccessDenied' })
    await expect(store.sweep('', 0)).rejects.toMatchObject({
      reason: 'delete-refused',
      hint: expect.stringContaining('s3:ListBucketMultipartUploads'),
    })
  })

  test('to let anything be replaced or deleted keeps neither a backup nor a verification from being written', async ({
    store,
    proxy,
    again,
  }) => {
    const written = new Set<string>()
    proxy.fault = ({ method, path }) => {
      const isKnown = written.has(path)
      if (method === 'PUT') written.add(path)
      return method === 'DELETE' || (method === 'PUT' && isKnown) ? { status: 403, code: 'AccessDenied' } : undefined
    }
    const which = { database: 'shop', id: '20261120T030000Z-1a2b3c4d' }
    for (const second of [0, 1, 2, 3]) {
      await store.checkWritable()
      const at = new Date(`2026-11-20T04:00:0${second}Z`)
      await recordVerification(store, which, { at, ok: second === 3, problem: null })
      await keepFewRecords(store, which, { secrets: [], log: silentLog })
    }
    expect(await keysOf(again())).toHaveLength(4)
    expect(await readLaterVerification(store, which, [])).toMatchObject({ ok: true })
    // what is really refused is said
    proxy.fault = ({ method }) =>
      method === 'PUT' || method === 'HEAD' ? { status: 403, code: 'AccessDenied' } : undefined
    await expect(store.checkWritable()).rejects.toMatchObject({ hint: expect.stringContaining('s3:PutObject') })
  })

  test('with a page of a list late is asked again; without it there is no list', async ({ store, proxy, again }) => {
    const names = Array.from({ length: 1_010 }, (_, i) => `shop/${String(i).padStart(4, '0')}`)
    for (let at = 0; at < names.length; at += 40)
      await Promise.all(names.slice(at, at + 40).map((key) => putText(again(), key, 'x')))
    const isSecond = ({ path }: Asked) => path.includes('continuation-token')
    proxy.fault = first(1, isSecond, { delayMs: patience.answerMs * 2 })
    expect(await keysOf(store)).toEqual(names)
    proxy.fault = (asked) => (isSecond(asked) ? { status: 500 } : undefined)
    await expect(keysOf(store)).rejects.toMatchObject({ kind: 'backup', reason: 'store-unreadable' })
  })

  test('because the credentials have expired gets new ones in the middle of an upload', async ({
    url,
    proxy,
    again,
  }) => {
    let asked = 0
    const settings = settingsFor(proxy.endpoint, {
      keys: async () => {
        asked++
        return keys
      },
    })
    const store = s3Store(url, settings, { partBytes, patience })
    proxy.fault = first(1, (one) => isPart(one, 2), { status: 400, code: 'ExpiredToken' })
    await write(store, 'shop/1/dump', bytes)
    // created, four parts and one again, completed, looked at
    expect(asked).toBeGreaterThanOrEqual(8)
    expect(sha256(await read(again(), 'shop/1/dump'))).toBe(sha256(bytes))
  })

  test('because clocks differ is asked with its own time', async ({ store, proxy, again }) => {
    const date = new Date(Date.now() + 5 * 3_600_000).toUTCString()
    proxy.fault = first(1, () => true, { status: 403, code: 'RequestTimeTooSkewed', headers: { date } })
    await putText(store, 'shop/x', 'x').catch(() => {})
    const [, second] = proxy.asked
    expect(String(second?.headers['x-amz-date']).slice(0, 11)).toBe(
      new Date(date).toISOString().replaceAll(/[-:]/g, '').slice(0, 11),
    )
    expect(await keysOf(again())).toEqual([])
    proxy.fault = () => ({ status: 403, code: 'RequestTimeTooSkewed' })
    await expect(keysOf(store)).rejects.toMatchObject({ message: expect.stringContaining('the clock of this machine') })
  })

  test.for([
    [{ status: 403 }, 'access denied', 's3:ListBucket'],
    [
      { status: 301, code: 'PermanentRedirect', headers: { 'x-amz-bucket-region': 'eu-west-3' } },
      'another region: eu-west-3',
      'backup.s3.region: eu-west-3',
    ],
    [
      { status: 400, code: 'AuthorizationHeaderMalformed', more: '<Region>eu-west-3</Region>' },
      'another region: eu-west-3',
      'backup.s3.region: eu-west-3',
    ],
    [{ status: 404, code: 'NoSuchBucket' }, 'there is no bucket', 'backup.store'],
    [{ status: 403, code: 'InvalidAccessKeyId' }, 'does not know the access key', 'backup.s3.accessKeyId'],
    [{ status: 403, code: 'SignatureDoesNotMatch' }, 'does not accept the signature', 'backup.s3.secretAccessKey'],
    [{ status: 501, code: 'NotImplemented' }, 'answered 501 NotImplemented', 'may not know this kind of request'],
    [{ status: 404 }, 'answered 404', 'backup.s3'],
    [{ status: 200 }, 'the answer is not one of S3', 'backup.s3'],
    [{ status: 200, more: '<html><body>Sign in</body></html>' }, 'the answer is not one of S3', 'backup.s3'],
    [{ status: 200, more: '<!doctype html><title>Sign in<p>first' }, 'the answer is not one of S3', 'backup.s3'],
    [{ status: 200, more: 'Welcome' }, 'the answer is not one of S3', 'backup.s3'],
    [{ status: 502, more: '<h1>Bad gateway' }, 'is too busy, or has a fault (502)', 'try again later'],
    [{ status: 403, more: 'go away' }, 'access denied', 's3:ListBucket'],
  ] as const)('with %j is explained', async ([fault, said, hint], { store, proxy }) => {
    proxy.fault = () => fault
    const error = await keysOf(store).catch((error: unknown) => error)
    expect(error).toMatchObject({
      kind: 'backup',
      reason: 'store-unreadable',
      message: expect.stringContaining(said),
      hint: expect.stringContaining(hint),
    })
    expect(JSON.stringify(error)).not.toContain(keys.secretAccessKey)
  })

  test('to keep a whole object is found when it is read', async ({ store }) => {
    await putText(store, 'shop/1/dump', 'half of it')
    const whole = { name: 'dump', size_bytes: 20, sha256: sha256(Buffer.from('half of it, and more')) }
    await expect(collect(unpack(store, 'shop/1/dump', whole))).rejects.toMatchObject({ kind: 'corrupt' })
  })

  test('leaves alone an upload to which something is still sent, and one that is younger than uploads live', async ({
    store,
    again,
  }) => {
    const upload = await store.open('shop/1/dump')
    await upload.write(bytes.subarray(0, 2 * partBytes + 1))
    await sleep(1_500)
    await upload.write(bytes.subarray(2 * partBytes + 1, 3 * partBytes + 2))
    await sleep(500)
    expect(await again().sweep('', 1_800)).toEqual([])
    expect(await again({ staleMs: 60_000 }).sweep('', 0)).toEqual([])
    expect(await again().sweep('', 0)).toEqual(['shop/1/dump'])
    await upload.abort()
  })

  // the last one: the server is not the same afterwards
  test('in the middle of an upload, killed, has nothing of it when it is back', async ({ url, again }) => {
    const store = again()
    await putText(store, 'shop/0/dump', 'before')
    const upload = await store.open('shop/1/dump')
    await upload.write(bytes.subarray(0, 2 * partBytes + 1))
    await server!.kill()
    await expect(
      (async () => {
        await upload.write(bytes.subarray(2 * partBytes + 1))
        await upload.commit()
      })(),
    ).rejects.toMatchObject({ kind: 'backup', message: expect.stringContaining('cannot be reached') })
    await upload.abort().catch(() => {})
    await server!.start()
    expect((await keysOf(again())).includes('shop/1/dump')).toBe(false)
    await again().sweep('', 0)
    expect(await uploadsOf(url)).toEqual([])
    await putText(again(), 'shop/2/dump', 'after')
    expect(await getText(again(), 'shop/2/dump')).toBe('after')
  })
})
