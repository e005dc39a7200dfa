import { describe, expect, test } from 'vitest'
import { createRecordReader } from './records.ts'

/** All records of a text, which arrives in pieces of so many characters. */
function recordsOf(text: string, size = 3) {
  const reader = createRecordReader()
  const pieces = text.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? []
  return [...pieces.flatMap((piece) => [...reader.read(piece)]), ...reader.end()]
}

const lines = (text: string) => recordsOf(text).map(({ line, lastLine, fieldCount }) => [line, lastLine, fieldCount])

describe('the records of a CSV file', () => {
  test.for([
    ['', []],
    [
      'a,b\n1,2\n',
      [
        [1, 1, 2],
        [2, 2, 2],
      ],
    ],
    [
      'a,b\r\n1,2',
      [
        [1, 1, 2],
        [2, 2, 2],
      ],
    ],
    [
      'a\r\rb\r',
      [
        [1, 1, 1],
        [2, 2, 1],
        [3, 3, 1],
      ],
    ],
    [
      'a,b\n1,"x\ny"\n3,\n',
      [
        [1, 1, 2],
        [2, 3, 2],
        [4, 4, 2],
      ],
    ],
    [
      'a,b\r\n1,"x\r\ny"\r\n3,4\r\n',
      [
        [1, 1, 2],
        [2, 3, 2],
        [4, 4, 2],
      ],
    ],
    [
      'a\n"x, ""y"" and z"\n',
      [
        [1, 1, 1],
        [2, 2, 1],
      ],
    ],
    [
      'a\n\nb\n',
      [
        [1, 1, 1],
        [2, 2, 1],
        [3, 3, 1],
      ],
    ],
    [
      'a,b\n1,x"y\n2,z\n',
      [
        [1, 1, 2],
        [2, 4, 2],
      ],
    ],
  ] as const)('of %j are where COPY sees them', ([text, expected]) => {
    expect(lines(text)).toEqual(expected)
    expect(recordsOf(text, 1_000)).toEqual(recordsOf(text, 1))
  })

  test('have the places of their values, in code points, and which of them are NULL', () => {
    expect(recordsOf('a,b,c\n😀é,"",\n"x\ny",z,').slice(1)).toMatchObject([
      {
        fields: [
          { line: 2, column: 1, empty: false },
          { line: 2, column: 4, empty: false },
          { line: 2, column: 7, empty: true },
        ],
      },
      {
        fields: [
          { line: 3, column: 1, empty: false },
          { line: 4, column: 4, empty: false },
          { line: 4, column: 6, empty: true },
        ],
      },
    ])
  })

  test('say where the last quote was opened, and whether it was closed', () => {
    expect(recordsOf('a\n"x""y"\nx"y\nz\n').map(({ quote }) => quote)).toEqual([
      undefined,
      { line: 2, column: 1, open: false },
      { line: 3, column: 2, open: true },
    ])
  })

  test.for([
    ['a,b\n1,x"y\n2,"z"\n', { line: 2, column: 4 }],
    ['a,b\n1,"x\n2,"z"\n', { line: 2, column: 3 }],
    ['a,b\n1,"x",\n2,"z"\n', undefined],
    ['a,b\n1,"x\n', undefined],
    ['a,b\n1,"x ""y"" z"\n', undefined],
  ] as const)('of %j say which quote may be a stray one', ([text, expected]) => {
    expect(recordsOf(text).map(({ stray }) => stray)[1]).toEqual(expected)
  })

  test('of the first line have the names, without a byte order mark', () => {
    expect(recordsOf('\uFEFFid,"a ""b"", c",\n1,2,3')[0]!.names).toEqual(['id', 'a "b", c', ''])
  })
})
