import { describe, expect, test } from 'vitest'
import { parseToc, TocError } from './toc.ts'

type Written = { desc: string; tag: string | Buffer; defn?: string; dependencies?: number[] }

/** An archive's head as pg_dump writes it. */
function archive(minor: number, entries: Written[], { magic = 'PGDMP', format = 1 } = {}): Buffer {
  const int = (value: number) => {
    const bytes = Buffer.alloc(5)
    bytes[0] = value < 0 ? 1 : 0
    bytes.writeInt32LE(Math.abs(value), 1)
    return bytes
  }
  const text = (value: string | Buffer | null) =>
    value === null ? int(-1) : Buffer.concat([int(Buffer.byteLength(value)), Buffer.from(value as string)])
  return Buffer.concat([
    Buffer.from(magic),
    Buffer.from([1, minor, 0, 4, 8, format]),
    minor >= 15 ? Buffer.from([0]) : int(0),
    ...Array.from({ length: 7 }, () => int(1)),
    ...['shop', '16.1', '16.1'].map(text),
    int(entries.length),
    ...entries.flatMap(({ desc, tag, defn = null, dependencies = [] }, i) => [
      ...[
        int(i + 1),
        int(0),
        text('1259'),
        text('16384'),
        text(tag),
        text(desc),
        int(2),
        text(defn),
        text('DROP x;\n'),
      ],
      ...[
        text(null),
        text('app'),
        text(''),
        text('heap'),
        ...(minor >= 16 ? [int(114)] : []),
        text('owner'),
        text('false'),
      ],
      ...[...dependencies.map((id) => text(String(id))), text(null), Buffer.alloc(9)],
    ]),
  ])
}

const table = {
  ...{ id: 1, desc: 'TABLE', tag: 'ü', section: 'pre-data', defn: 'create table;', dropStmt: 'DROP x;\n' },
  ...{ namespace: 'app', tablespace: '', owner: 'owner', dependencies: [7, 8] },
}
const written = { desc: 'TABLE', tag: 'ü', defn: 'create table;', dependencies: [7, 8] }

describe('the list of an archive', () => {
  test.for([14, 15, 16])('an archive of version 1.%i is read', (minor) => {
    expect(parseToc(archive(minor, [written]))?.entries).toEqual([table])
  })

  test('is not there yet, whatever is missing at its end', () => {
    const whole = archive(16, [written, written])
    for (let length = 0; length < whole.length; length++)
      expect(parseToc(whole.subarray(0, length)), `${length} bytes`).toBeUndefined()
    expect(parseToc(Buffer.concat([whole, Buffer.from('data')]))?.entries).toHaveLength(2)
  })

  test('is in the encoding that the archive says', () => {
    const said = (encoding: string) => ({
      desc: 'ENCODING',
      tag: 'ENCODING',
      defn: `SET client_encoding = '${encoding}';\n`,
    })
    const tag = (encoding: string, bytes: number[]) =>
      parseToc(archive(16, [said(encoding), { desc: 'TABLE', tag: Buffer.from(bytes) }]))?.entries[1]?.tag
    expect(tag('LATIN1', [0xfc, 0x80])).toBe('ü\u0080')
    expect(tag('WIN1252', [0x80])).toBe('€')
    expect(tag('EUC_JP', [0xc6, 0xfc])).toBe('日')
    expect(() => tag('UTF8', [0xfc])).toThrow(TocError)
    expect(() => tag('MULE_INTERNAL', [65])).toThrow('MULE_INTERNAL')
  })

  test.for([
    [archive(17, []), 'version 1.17'],
    [archive(12, []), 'version 1.12'],
    [archive(16, [], { magic: 'PGDMX' }), 'not an archive'],
    [archive(16, [], { format: 3 }), 'format custom'],
    [Buffer.from('-- PostgreSQL database dump'), 'not an archive'],
  ] as const)('is refused where nobody can tell what it means', ([bytes, said]) => {
    expect(() => parseToc(bytes)).toThrow(said)
  })
})
