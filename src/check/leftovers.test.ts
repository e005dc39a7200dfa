import { describe, expect, test } from 'vitest'
import { databaseObject } from '../postgres/lock-keys.ts'
import { fieldsOf, leftoversIn, type ReadStory, sized, warningOf } from './leftovers.ts'

const readStory: ReadStory = (_, comment) =>
  comment === null ? undefined : { kind: 'restore', of: comment, lock: comment }

describe('what runs left behind', () => {
  const found = [
    { database: 'a__restore_1', comment: 'a', sizeBytes: 812_000_000 },
    { database: 'b__restore_2', comment: 'b', sizeBytes: null },
    { database: 'shop', comment: null, sizeBytes: 1 },
  ]

  test('are the databases with a story of ours that nobody works on', () => {
    expect(leftoversIn(found, [], readStory).map(({ database }) => database)).toEqual(['a__restore_1', 'b__restore_2'])
    expect(leftoversIn(found, [databaseObject('a')], readStory).map(({ database }) => database)).toEqual([
      'b__restore_2',
    ])
  })

  test('are named with their size, and with the statement that removes them', () => {
    const [a, b] = leftoversIn(found, [], readStory)
    expect([a!, b!].map(sized)).toEqual(['a__restore_1 (812 MB)', 'b__restore_2'])
    expect(warningOf(a!)).toBe(
      'a restore into a left the database a__restore_1 (812 MB) behind: the next restore removes it, and so does `drop database "a__restore_1" with (force)`',
    )
    expect(warningOf({ ...b!, kind: 'import' })).toBe(
      'an import into b left the database b__restore_2 behind: the next import removes it, and so does `drop database "b__restore_2" with (force)`',
    )
    expect(warningOf({ ...b!, kind: 'shadow' })).toBe(
      'a comparison with b left the database b__restore_2 behind: the next comparison with `check.shadow` removes it, and so does `drop database "b__restore_2" with (force)`',
    )
    expect(fieldsOf(a!)).toEqual({
      database: 'a__restore_1',
      kind: 'restore',
      size_bytes: 812_000_000,
      remove: 'drop database "a__restore_1" with (force)',
    })
  })
})
