import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { renderRow } from './json-copy.ts'
import { createArrayReader, createLinesReader, type JsonReader } from './json-records.ts'
import { parseArray, parseObject, stringOf } from './json-scan.ts'

const plain = (fields: ReturnType<typeof parseObject>) => fields.map(({ name, raw }) => [name, JSON.parse(raw)])

describe('an object', () => {
  test('has the keys and values that JSON.parse finds, with their own text', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()),
        fc.constantFrom(0, 2),
        (object, indent) => {
          const text = JSON.stringify(object, null, indent)
          const fields = parseObject(text)
          expect(Object.fromEntries(plain(fields))).toEqual(JSON.parse(text))
          for (const { raw, at } of fields) expect(text.slice(at, at + raw.length)).toBe(raw)
        },
      ),
    )
  })

  test('keeps numbers that JavaScript cannot', () => {
    expect(parseObject('{"a": 9007199254740993, "b": 1.10, "c": -1E+400}').map(({ raw }) => raw)).toEqual([
      '9007199254740993',
      '1.10',
      '-1E+400',
    ])
  })

  test('is refused whenever JSON.parse refuses it', () => {
    fc.assert(
      fc.property(fc.json(), fc.nat(), fc.constantFrom('', '"', ',', '\\', '}', '\n', '0', 'e'), (json, seed, put) => {
        const text = `{"a": ${json}}`
        const at = seed % (text.length + 1)
        const broken = text.slice(0, at) + put + text.slice(at + 1)
        let valid = true
        try {
          JSON.parse(broken)
        } catch {
          valid = false
        }
        if (valid) return
        expect(() => parseObject(broken)).toThrow()
      }),
      { numRuns: 500 },
    )
  })

  test('that is nested without end is refused, not a crash', () => {
    const deep = `{"a": ${'['.repeat(100_000)}`
    expect(() => parseObject(deep)).toThrow('nested more than 1000 deep')
  })
})

describe('a file, in pieces of any size,', () => {
  const read = (reader: JsonReader, text: string, size: number) => {
    const pieces = text.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? []
    return [...pieces.flatMap((piece) => [...reader.read(piece)]), ...reader.end()]
  }
  const rows = fc.array(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()), { maxLength: 5 })

  test('is divided into the rows that it was made of', () => {
    fc.assert(
      fc.property(rows, fc.integer({ min: 1, max: 9 }), fc.constantFrom(0, 1), (objects, size, indent) => {
        const array = read(createArrayReader(), JSON.stringify(objects, null, indent), size)
        expect(array.map(({ text }) => JSON.parse(text))).toEqual(JSON.parse(JSON.stringify(objects)))
        const lines = objects.map((object) => `${JSON.stringify(object)}\r\n`).join('')
        const found = read(createLinesReader(), lines, size)
        expect(found.map(({ text, line }) => [line, JSON.parse(text)])).toEqual(
          (JSON.parse(JSON.stringify(objects)) as object[]).map((object, i) => [i + 1, object]),
        )
      }),
    )
  })

  test('tells where each row starts', () => {
    const text = '[ {"a": 1},\n  {"😀": "\n"}, {"b": 2}\n]'
    for (const size of [1, 2, 100])
      expect(read(createArrayReader(), text, size).map(({ line, column }) => [line, column])).toEqual([
        [1, 3],
        [2, 3],
        [3, 5],
      ])
  })

  test('with an endless row is refused', () => {
    const reader = createLinesReader()
    expect(() => {
      for (let i = 0; i < 20; i++) [...reader.read('x'.repeat(1024 * 1024))]
    }).toThrow('the row that starts here is longer than 16 MiB')
  })
})

describe('a line for COPY', () => {
  const columns = [
    { name: 'a', json: false, array: false },
    { name: 'b', json: true, array: false },
    { name: 'c', json: false, array: true },
    { name: 'd', json: true, array: true },
  ]
  const line = (text: string, sparse = false) => renderRow(parseObject(text), columns, sparse)

  test('has the values in the order of the columns', () => {
    expect(line('{"b": {"x": "a\\tb"}, "a": "1\\t2\\n\\\\"}')).toBe('1\\t2\\n\\\\\t{"x": "a\\\\tb"}\t\\N\t\\N\n')
    expect(line('{"a": null, "c": [1, [2, "q\\"", null]], "d": [[1], "x"]}', true)).toBe(
      '\\N\t\\N\t{"1",{"2","q\\\\"",NULL}}\t{"[1]","\\\\"x\\\\""}\t1011\n',
    )
  })

  test.for(['{"a": "\\u0000"}', '{"a": "\\ud800"}', '{"c": ["x\\u0000"]}'])('is refused for %s', (text) => {
    expect(() => line(text)).toThrow()
  })

  test('has texts as they are meant', () => {
    expect(stringOf('"a\\u00e9\\/"')).toBe('aé/')
    expect(parseArray('[ "x" , [1] ]').map(({ kind, raw, at }) => [kind, raw, at])).toEqual([
      ['string', '"x"', 2],
      ['array', '[1]', 8],
    ])
  })
})
