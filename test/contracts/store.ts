import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { getText, pack, putText, unpack } from '../../src/store/pack.ts'
import type { Store } from '../../src/store/store.ts'

/** Everything that an iterable yields. */
export async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const one of source) all.push(one)
  return all
}

const keysOf = async (store: Store, prefix = '') => (await collect(store.list(prefix))).map(({ key }) => key)

async function* pieces(size: number, count: number) {
  for (let i = 0; i < count; i++) yield randomBytes(size)
}

/**
 * What every store promises.
 * @param make a store that nobody else uses and that has nothing yet
 * @param unfinishedBytes so much of an upload has to be written until something of it is in the store
 * @param foldersStay whether a folder that has become empty may still be there
 */
export function storeContract(
  name: string,
  make: () => Promise<Store>,
  { unfinishedBytes = 1, foldersStay = false }: { unfinishedBytes?: number; foldersStay?: boolean } = {},
): void {
  const some = () => Buffer.alloc(unfinishedBytes, 'x')
  describe(name, () => {
    test('is empty before it exists', async () => {
      const store = await make()
      expect(await keysOf(store)).toEqual([])
      expect(await store.folders('')).toEqual([])
      expect(await store.folders('shop/')).toEqual([])
      expect(await store.sweep('', 0)).toEqual([])
      await store.delete('shop/x')
    })

    test('gives back what was written, and replaces it', async () => {
      const store = await make()
      await putText(store, 'shop/1/manifest.json', 'first')
      await putText(store, 'shop/1/manifest.json', 'second, Größe 💾')
      expect(await getText(store, 'shop/1/manifest.json')).toBe('second, Größe 💾')
      expect(await keysOf(store)).toEqual(['shop/1/manifest.json'])
    })

    test('an absent key is an error with the code ENOENT, also where a folder or nothing at all is', async () => {
      const store = await make()
      await expect(store.read('shop/1/manifest.json')).rejects.toMatchObject({ code: 'ENOENT' })
      await putText(store, 'shop/1/manifest.json', 'x')
      await expect(store.read('shop/2/manifest.json')).rejects.toMatchObject({ code: 'ENOENT' })
      expect(await getText(store, 'shop/1/dump.zst')).toBeUndefined()
    })

    test('lists keys below a prefix with size and time, and the folders right below it', async () => {
      const store = await make()
      for (const key of ['shop/1/a', 'shop/1/b', 'shop/2/a', 'shop-test/1/a', '%2Eodd/1/a'])
        await putText(store, key, key)
      expect(await keysOf(store, 'shop/')).toEqual(['shop/1/a', 'shop/1/b', 'shop/2/a'])
      expect(await keysOf(store, 'shop/1/')).toEqual(['shop/1/a', 'shop/1/b'])
      expect((await store.folders('')).sort()).toEqual(['%2Eodd', 'shop', 'shop-test'])
      expect((await store.folders('shop/')).sort()).toEqual(['1', '2'])
      const [first] = await collect(store.list('shop/'))
      expect(first?.sizeBytes).toBe(8)
      expect(Math.abs(Date.now() - first!.modifiedAt.getTime())).toBeLessThan(60_000)
    })

    test('shows nothing of an upload before its commit, and everything after', async () => {
      const store = await make()
      const upload = await store.open('shop/1/dump.zst')
      await upload.write(randomBytes(100_000))
      expect(await keysOf(store)).toEqual([])
      await expect(store.read('shop/1/dump.zst')).rejects.toMatchObject({ code: 'ENOENT' })
      await upload.commit()
      await upload.abort()
      expect(await collect(store.list(''))).toMatchObject([{ key: 'shop/1/dump.zst', sizeBytes: 100_000 }])
    })

    test('keeps what was there until the commit of its replacement', async () => {
      const store = await make()
      await putText(store, 'shop/x', 'old')
      const upload = await store.open('shop/x')
      await upload.write(Buffer.from('new'))
      expect(await getText(store, 'shop/x')).toBe('old')
      await upload.abort()
      expect(await getText(store, 'shop/x')).toBe('old')
    })

    test('creates an object once, where it can: of many at one time, one does', async () => {
      const store = await make()
      const { create } = store
      // a folder, and what rclone reaches: nobody relies on it
      if (!create) return
      const texts = Array.from({ length: 8 }, (_, i) => `text ${i}`)
      const created = await Promise.all(texts.map((text) => create('shop/x', text)))
      expect(created.filter((one) => one === true)).toHaveLength(1)
      expect(created.filter((one) => one === false)).toHaveLength(7)
      expect(await getText(store, 'shop/x')).toBe(texts[created.indexOf(true)])
      expect(await create('shop/x', 'late')).toBe(false)
      expect(await keysOf(store)).toEqual(['shop/x'])
      await store.delete('shop/x')
      expect(await create('shop/x', 'again')).toBe(true)
    })

    test('leaves nothing behind when an upload is aborted, even twice', async () => {
      const store = await make()
      const upload = await store.open('shop/1/dump.zst')
      await upload.write(randomBytes(1000))
      await upload.abort()
      await upload.abort()
      expect(await keysOf(store)).toEqual([])
      expect(await store.folders('')).toEqual([])
    })

    test('two uploads of one key do not mix: one of them is there, whole', async () => {
      const store = await make()
      const uploads = await Promise.all([store.open('shop/x'), store.open('shop/x')])
      await Promise.all(uploads.flatMap((upload, i) => [upload.write(Buffer.alloc(70_000, `${i}`))]))
      await Promise.all(uploads.map((upload) => upload.commit()))
      expect(await getText(store, 'shop/x')).toMatch(/^(0{70000}|1{70000})$/)
    })

    test('sweeps unfinished uploads below a prefix by age, and only those', async () => {
      const store = await make()
      await putText(store, 'shop/1/manifest.json', 'x')
      const uploads = await Promise.all(
        ['shop/1/dump.zst', 'shop/2/dump.zst', 'other/1/dump.zst'].map((key) => store.open(key)),
      )
      for (const upload of uploads) await upload.write(some())
      expect(await store.sweep('shop/', 60_000)).toEqual([])
      expect(await store.sweep('shop/', 0)).toHaveLength(2)
      expect(await store.sweep('shop/', 0)).toEqual([])
      expect(await store.folders('shop/')).toEqual(['1'])
      expect(await store.sweep('', 0)).toHaveLength(1)
      await Promise.all(uploads.map((upload) => upload.abort()))
      expect(await keysOf(store)).toEqual(['shop/1/manifest.json'])
    })

    test('sweeps unfinished uploads by an age that depends on the key', async () => {
      const store = await make()
      const uploads = await Promise.all(['shop/1/dump.zst', 'shop/2/dump.zst'].map((key) => store.open(key)))
      for (const upload of uploads) await upload.write(some())
      const swept = await store.sweep('shop/', (key) => (key.startsWith('shop/2/') ? 0 : 60_000))
      expect(swept).toEqual([expect.stringMatching(/^shop\/2\//)])
      await uploads[0]!.commit()
      await uploads[1]!.abort()
      expect(await keysOf(store)).toEqual(['shop/1/dump.zst'])
    })

    test('deletes a key, and the folders that become empty', async () => {
      const store = await make()
      await putText(store, 'shop/1/a', 'x')
      await putText(store, 'shop/2/a', 'x')
      await store.delete('shop/1/a')
      await store.delete('shop/1/a')
      expect(await keysOf(store)).toEqual(['shop/2/a'])
      if (!foldersStay) expect(await store.folders('shop/')).toEqual(['2'])
    })

    test('many writers and removers of one folder do not disturb each other', async () => {
      const store = await make()
      await Promise.all(
        Array.from({ length: 20 }, async (_, i) => {
          await putText(store, `shop/1/${i}`, 'x')
          await store.delete(`shop/1/${i}`)
        }),
      )
      expect(await keysOf(store)).toEqual([])
      if (!foldersStay) expect(await store.folders('')).toEqual([])
    })

    test('refuses keys that lead elsewhere or that it would not list', async () => {
      const store = await make()
      for (const key of ['../x', '/x', 'a/../../x', 'a//b', 'a/.b', 'a/b+c', 'a/x.partial'])
        await expect((async () => store.open(key))(), key).rejects.toThrow('not a key')
    })

    test('can be written, and may know how much', async () => {
      const store = await make()
      await store.checkWritable()
      expect(await keysOf(store)).toEqual([])
      expect((await store.freeBytes()) ?? 1).toBeGreaterThan(0)
    })

    test('holds one checksummed frame that comes back byte for byte', async () => {
      const store = await make()
      const plain = await collect(pieces(70_000, 30))
      const upload = await store.open('shop/1/dump.zst')
      const { storedBytes, plainBytes, sha256 } = await pack(Readable.from(plain), upload)
      await upload.commit()
      expect(plainBytes).toBe(2_100_000)
      const expected = { name: 'dump.zst', size_bytes: storedBytes, sha256 }
      const back: Buffer[] = []
      for await (const chunk of unpack(store, 'shop/1/dump.zst', expected)) back.push(Buffer.from(chunk))
      expect(Buffer.concat(back).equals(Buffer.concat(plain))).toBe(true)
    })

    test('gives every byte of a large object to a slow reader, whose chunk stays until it asks for the next', async () => {
      const store = await make()
      const plain = [randomBytes(300_000), Buffer.alloc(20_000_000, 'all work and no play '), randomBytes(700_001)]
      const upload = await store.open('shop/1/dump.zst')
      const { storedBytes, sha256 } = await pack(Readable.from(plain), upload)
      await upload.commit()
      const back = createHash('sha256')
      let bytes = 0
      for await (const chunk of unpack(store, 'shop/1/dump.zst', {
        name: 'dump.zst',
        size_bytes: storedBytes,
        sha256,
      })) {
        await sleep(bytes % 3)
        // whatever is allocated now must not lie where the chunk lies
        Buffer.alloc(chunk.length, 'x')
        back.update(chunk)
        bytes += chunk.length
      }
      expect(bytes).toBe(21_000_001)
      expect(back.digest('hex')).toBe(createHash('sha256').update(Buffer.concat(plain)).digest('hex'))
    })

    test('damage, a missing and an extra byte, and absence are found while reading', async () => {
      const store = await make()
      const upload = await store.open('shop/1/dump.zst')
      const { storedBytes: size_bytes, sha256 } = await pack(pieces(10_000, 3), upload)
      await upload.commit()
      const expected = { name: 'dump.zst', size_bytes, sha256 }
      const chunks: Buffer[] = []
      for await (const chunk of await store.read('shop/1/dump.zst')) chunks.push(chunk as Buffer)
      const good = Buffer.concat(chunks)
      const flipped = Buffer.from(good)
      flipped[good.length >> 1]! ^= 4
      for (const bytes of [
        flipped,
        good.subarray(0, -1),
        good.subarray(0, 5),
        Buffer.alloc(0),
        Buffer.concat([good, Buffer.alloc(1)]),
      ]) {
        const again = await store.open('shop/1/dump.zst')
        await again.write(bytes)
        await again.commit()
        await expect(collect(unpack(store, 'shop/1/dump.zst', expected))).rejects.toMatchObject({
          kind: 'corrupt',
        })
      }
      await store.delete('shop/1/dump.zst')
      await expect(collect(unpack(store, 'shop/1/dump.zst', expected))).rejects.toMatchObject({
        kind: 'corrupt',
        message: 'dump.zst is missing',
      })
    })
  })
}
