import { expect, test } from 'vitest'
import { planImport } from './plan.ts'
import { countShapes, noShapes, propose } from './propose.ts'
import type { Value } from './values.ts'

const linesFor = (declared: string, ...values: Value[]) => {
  const column = { name: 'c', declared, notNull: false, key: 0, fallback: null, generated: false }
  const table = { name: 't', columns: [column], rowid: 'rowid', foreignKeys: [], indexes: [], leftOut: [] }
  const source = { tables: [table], views: [], virtual: [], utf8: true }
  const plan = planImport(source, { schema: true, tables: [] }, { schema: 'public', types: {}, exclude: [] })
  const shapes = noShapes()
  for (const value of values) countShapes(shapes, value)
  return propose(plan, () => shapes)
}

test.each([
  ['TEXT', ['0f8fad5b-d9cb-469f-a165-70867728950e'], ['t.c: uuid  # the only value is a UUID']],
  ['BLOB', [new Uint8Array(16), new Uint8Array(16)], ['t.c: uuid  # all 2 values are UUIDs']],
  ['TEXT', ['2024-01-02T03:04:05Z', null], ['t.c: timestamptz  # the only value is an instant with a zone']],
  ['TEXT', ['{"a":1}', '[]'], ['t.c: jsonb  # all 2 values are JSON']],
  ['INTEGER', [1704164645n], ['t.c: timestamptz/s  # the only value could be seconds since 1970']],
  ['DATETIME', [1704164645123n], ['t.c: timestamptz/ms  # the only value could be milliseconds since 1970']],
  ['INTEGER', [0n, 1n], ['t.c: boolean  # all 2 values are 0 or 1']],
  ['INTEGER', [5n, 'a'], ['t.c: text  # 1 of 2 values are text']],
  ['INTEGER', [5n, 2n], []],
  ['TEXT', ['2024-01-02', 'x'], []],
  ['TEXT', [null], []],
] as [string, Value[], string[]][])('for %s with %o: %j', (declared, values, lines) => {
  expect(linesFor(declared, ...values)).toEqual(lines)
})
