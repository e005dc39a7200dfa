import { describe, expect, test } from 'vitest'
import { parseLine, readingList } from './rclone-place.ts'

const entry = '{"Path":"1/dump.zst","Size":5,"ModTime":"2026-11-30T05:16:32.6Z","IsDir":false}'

describe('what `rclone lsjson` writes', () => {
  test.each([
    { name: 'a list', lines: ['[', `${entry},`, entry, ']'], entries: 2, whole: true },
    { name: 'an empty one', lines: ['[', ']'], entries: 0, whole: true },
    { name: 'warnings around and in it', lines: ['[WARN] x', '[', entry, 'slow', ']', 'bye'], entries: 1, whole: true },
    { name: 'nothing', lines: [], entries: 0, whole: false },
    { name: 'other words', lines: ['ok'], entries: 0, whole: false },
    { name: 'a list that is cut off', lines: ['[', `${entry},`], entries: 1, whole: false },
    { name: 'one that is cut off in an entry', lines: ['[', '{"Path":"1/du'], entries: 0, whole: false },
    { name: 'entries of something else', lines: ['[', '{"name":"x"}', ']'], entries: 0, whole: false },
  ])('is a list only with its end: $name', ({ lines, entries, whole }) => {
    const list = readingList()
    expect(lines.filter((line) => list.isEntry(line))).toHaveLength(entries)
    expect(list.isWhole()).toBe(whole)
  })

  test('names that are none of ours are left out', () => {
    const named = (path: string) => parseLine(entry.replace('1/dump.zst', path), 'shop')?.key
    expect(named('1/dump.zst')).toBe('shop/1/dump.zst')
    expect(named('a%20b')).toBe('shop/a%20b')
    for (const other of ['a\\nb', 'a b', '.x', 'caf\u00e9']) expect(named(other), other).toBeUndefined()
  })
})
