import { expect, test } from 'vitest'
import { describeCollation, type StaleCollation } from './stale-collation.ts'

const stale: StaleCollation = {
  kind: 'collation',
  name: 'app.german',
  version: '153.80',
  actual: '153.120',
  indexes: ['app.by_name', 'app."By mail"'],
  partitioned: [],
}

test.for<[string, Partial<StaleCollation>, string]>([
  [
    'a collation with two indexes',
    {},
    'the collation app.german had version 153.80, and the server now sorts by 153.120; 2 indexes depend on it and may miss rows: app.by_name, app."By mail": run `reindex index concurrently app.by_name; reindex index concurrently app."By mail"`, then `alter collation app.german refresh version`',
  ],
  [
    'that of a database with many',
    { kind: 'database', name: 'shop', indexes: ['a', 'b', 'c', 'd', 'e'] },
    'the collation of the database shop had version 153.80, and the server now sorts by 153.120; 5 indexes depend on it and may miss rows: a, b, c and 2 more: run `reindex index concurrently …` for each of them, then `alter database shop refresh collation version`',
  ],
  [
    'one without indexes',
    { indexes: [] },
    'the collation app.german had version 153.80, and the server now sorts by 153.120; no index depends on it: run `alter collation app.german refresh version`',
  ],
  [
    'one that divides a table',
    { indexes: ['i'], partitioned: ['app.people'] },
    'the collation app.german had version 153.80, and the server now sorts by 153.120; 1 index depends on it and may miss rows: i; rows may lie in the wrong partition of app.people: compare them with the bounds: run `reindex index concurrently i`, then `alter collation app.german refresh version`',
  ],
])('%s', ([, change, expected]) => expect(describeCollation({ ...stale, ...change })).toBe(expected))
