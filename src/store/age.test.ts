import { Decrypter, Encrypter, generateX25519Identity, identityToRecipient } from 'age-encryption'
import { describe, expect, test } from 'vitest'
import { fingerprint, fingerprintsOf, openHeader, openWith, sealFor } from './age.ts'

const name = 'dump.zst.age'

async function* inChunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  // whoever reads a chunk frees it
  for (let at = 0; at < bytes.length; at += size) yield Uint8Array.from(bytes.subarray(at, at + size))
}

async function all(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const read: Buffer[] = []
  for await (const chunk of chunks) read.push(Buffer.from(chunk))
  return Buffer.concat(read)
}

const content = (length: number) => Buffer.from(Array.from({ length }, (_, i) => (i * 7919) % 251))
const identity = await generateX25519Identity()
const recipient = await identityToRecipient(identity)
const seal = (bytes: Buffer, size = 100_000) => all(sealFor([recipient], inChunks(bytes, size)))
const open = (bytes: Uint8Array, { size = 100_000, with: identities = [identity] } = {}) =>
  all(openWith(identities, inChunks(bytes, size), name))

/** Around the ends of pieces and of batches of them. */
const lengths = [0, 1, 65_535, 65_536, 65_537, 131_072, 262_144, 262_145, 400_000]

describe('the age format', () => {
  test.each(
    lengths,
  )('reads what it wrote, and what the age package wrote, and is read by it: %i bytes', async (length) => {
    const plain = content(length)
    const sealed = await seal(plain)
    for (const size of [1_000, 65_552, 1_000_000]) expect((await open(sealed, { size })).equals(plain)).toBe(true)
    const decrypter = new Decrypter()
    decrypter.addIdentity(identity)
    expect(Buffer.from(await decrypter.decrypt(sealed)).equals(plain)).toBe(true)
    const encrypter = new Encrypter()
    encrypter.addRecipient(recipient)
    expect((await open(await encrypter.encrypt(plain))).equals(plain)).toBe(true)
  })

  test('a header that arrives byte by byte is read', async () => {
    const sealed = await seal(content(10))
    expect(await open(sealed, { size: 1 })).toEqual(content(10))
  })

  test('each of several recipients opens it', async () => {
    const others = [await generateX25519Identity(), await generateX25519Identity()]
    const recipients = await Promise.all(others.map(identityToRecipient))
    const sealed = await all(sealFor(recipients, inChunks(content(10), 10)))
    for (const other of others) expect(await open(sealed, { with: [identity, other] })).toEqual(content(10))
    await expect(open(sealed)).rejects.toMatchObject({ kind: 'corrupt', reason: 'no-identity' })
  })

  test('no identity, or a wrong one, opens nothing, and the header alone says so', async () => {
    const sealed = await seal(content(200_000))
    const wrong = [await generateX25519Identity()]
    for (const identities of [[], wrong]) {
      let read = 0
      const reading = async () => {
        for await (const chunk of openWith(identities, inChunks(sealed, 1_000), name)) read += chunk.length
      }
      await expect(reading()).rejects.toMatchObject({ kind: 'corrupt', reason: 'no-identity' })
      expect(read).toBe(0)
      await expect(openHeader(identities, inChunks(sealed, 1_000), name)).rejects.toMatchObject({
        reason: 'no-identity',
      })
    }
    await openHeader([identity], inChunks(sealed, 1_000), name)
  })

  test('every changed byte is noticed, before the piece that has it is passed on', async () => {
    const plain = content(140_000)
    const sealed = await seal(plain)
    const places = [
      ...Array.from({ length: sealed.length / 997 }, (_, i) => i * 997),
      ...Array.from({ length: 220 }, (_, i) => i),
    ]
    for (const at of [...places, sealed.length - 1]) {
      const changed = Buffer.from(sealed)
      changed[at]! ^= 1 << (at % 8)
      const read: Buffer[] = []
      const reading = async () => {
        for await (const chunk of openWith([identity], inChunks(changed, 70_000), name)) read.push(Buffer.from(chunk))
      }
      await expect(reading(), `byte ${at}`).rejects.toMatchObject({ kind: 'corrupt' })
      expect(plain.subarray(0, Buffer.concat(read).length).equals(Buffer.concat(read))).toBe(true)
    }
  })

  test('a missing end is noticed, also where a piece ends, and so is more behind the end', async () => {
    const sealed = await seal(content(131_072 + 5))
    const header = sealed.length - (131_072 + 5 + 3 * 16)
    for (const length of [
      0,
      1,
      21,
      header - 17,
      header - 1,
      header,
      header + 1,
      header + 65_552,
      header + 2 * 65_552,
      sealed.length - 1,
    ])
      await expect(open(sealed.subarray(0, length)), `${length} bytes`).rejects.toMatchObject({ kind: 'corrupt' })
    await expect(open(Buffer.concat([sealed, Buffer.from([0])]))).rejects.toMatchObject({ kind: 'corrupt' })
    const whole = await seal(content(65_536))
    await expect(open(Buffer.concat([whole, Buffer.alloc(16)]))).rejects.toMatchObject({ kind: 'corrupt' })
  })

  test('pieces in another order, twice, or of another file are noticed', async () => {
    const sealed = await seal(content(200_000))
    const other = await seal(content(200_000))
    const start = sealed.length - (200_000 + 4 * 16)
    const piece = (i: number, of = sealed) => of.subarray(start + i * 65_552, start + (i + 1) * 65_552)
    const [head, rest] = [sealed.subarray(0, start), sealed.subarray(start + 2 * 65_552)]
    for (const pieces of [
      [piece(1), piece(0)],
      [piece(0), piece(0)],
      [piece(0, other), piece(1)],
    ])
      await expect(open(Buffer.concat([head, ...pieces, rest]))).rejects.toMatchObject({ kind: 'corrupt' })
    expect(await open(Buffer.concat([head, piece(0), piece(1), rest]))).toEqual(content(200_000))
  })

  test('what is not in the format, or has a header without an end, is damaged', async () => {
    const endless = Buffer.concat([Buffer.from('age-encryption.org/v1\n'), Buffer.alloc(200_000, 'x')])
    for (const bytes of [
      Buffer.from('PGDMP'),
      endless,
      Buffer.from('age-encryption.org/v1\n--- x\n0123456789abcdef'),
    ]) {
      const reading = open(bytes)
      await expect(reading).rejects.toMatchObject({ kind: 'corrupt', reason: undefined })
    }
  })

  test('the fingerprint of a recipient is also that of its identity', async () => {
    expect(await fingerprintsOf([identity])).toEqual([fingerprint(recipient)])
    expect(fingerprint(recipient)).toMatch(/^[0-9a-f]{16}$/)
  })
})
