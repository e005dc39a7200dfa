import { expect, test } from 'vitest'
import { createRecordReader } from './records.ts'
import { createStrayScan } from './stray.ts'

/** Whether a stray quote was found, with the file in pieces of a number of bytes. */
function scanned(text: string, pieceBytes: number): boolean {
  const scan = createStrayScan()
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += pieceBytes) if (scan(bytes.subarray(at, at + pieceBytes))) return true
  return false
}

test.each([
  ['id,name\n1,"a, ""b"""\n2,"line\r\nbreak"\n"3",""\n', false],
  ['id,name\r\n1,"x"\r\n"2","y"', false],
  ['id,name\n1,5" disk\n', true],
  ['id,name\n1,ab"c\n2,d"e\n', true],
  ['id,name\n1,"a"b\n', true],
  ['id,name\n1, "a"\n', true],
  ['id,name\n1,"a" \n', true],
  ['', false],
])('%j has a stray quote: %s', (text, expected) => {
  for (const size of [1, 2, 3, 5, 64_000]) expect([size, scanned(text, size)]).toEqual([size, expected])
})

test('the reader of records finds the same, in any text', () => {
  const letters = ['"', '"', ',', '\n', '\r\n', 'a', 'é']
  let seed = 1
  const next = () => {
    seed = (seed * 48_271) % 2_147_483_647
    return letters[seed % letters.length]!
  }
  for (let i = 0; i < 3_000; i++) {
    const text = Array.from({ length: 12 }, next).join('')
    const reader = createRecordReader()
    const records = [...reader.read(text), ...reader.end()]
    const expected = records.some(({ stray }) => stray !== undefined)
    expect([text, scanned(text, 1 + (i % 7))]).toEqual([text, expected])
  }
})
