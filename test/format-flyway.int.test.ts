import { describe, expect } from 'vitest'
import { flyway } from '../src/formats/flyway.ts'
import { normalVersion } from '../src/formats/flyway-names.ts'
import type { NativeRow } from '../src/formats/format.ts'
import type { Migration } from '../src/formats/types.ts'
import { historyIn, one } from './support/history.ts'
import { test as base, type Sql, server, uniqueName, writeFiles } from './support/postgres.ts'
import { shapeOf } from './support/shape.ts'

const table = '"public"."flyway_schema_history"'
const { native, rowsOf, record, createdAs } = historyIn(flyway, table)

/** As Flyway sends it. */
const itsTable = `CREATE TABLE "public"."flyway_schema_history" (
    "installed_rank" INT NOT NULL,
    "version" VARCHAR(50),
    "description" VARCHAR(200) NOT NULL,
    "type" VARCHAR(20) NOT NULL,
    "script" VARCHAR(1000) NOT NULL,
    "checksum" INTEGER,
    "installed_by" VARCHAR(100) NOT NULL,
    "installed_on" TIMESTAMP NOT NULL DEFAULT now(),
    "execution_time" INTEGER NOT NULL,
    "success" BOOLEAN NOT NULL
);
ALTER TABLE "public"."flyway_schema_history" ADD CONSTRAINT "flyway_schema_history_pk" PRIMARY KEY ("installed_rank");
CREATE INDEX "flyway_schema_history_s_idx" ON "public"."flyway_schema_history" ("success");`

type ItsRow = [
  rank: number,
  version: string | null,
  description: string,
  type: string,
  script: string,
  checksum: number | null,
  ok?: boolean,
]

/** As Flyway writes rows. */
async function itsRows(sql: Sql, rows: ItsRow[]): Promise<void> {
  for (const [rank, version, description, type, script, checksum, ok = true] of rows) {
    await sql`insert into flyway_schema_history
      ("installed_rank", "version", "description", "type", "script", "checksum", "installed_by", "execution_time", "success")
      values (${rank}, ${version}, ${description}, ${type}, ${script}, ${checksum}, 'flyway', 12, ${ok})`
  }
}

/** `read` reads files that all have the content of the vector; the database has an empty history. */
const test = base.extend<{ read: (...names: string[]) => Promise<Migration[]> }>({
  read: async ({ dir, sql }, use) => {
    await sql.unsafe(native.create(table))
    await use(async (...names) => {
      await writeFiles(dir, Object.fromEntries(names.map((name) => [name, content])))
      return flyway.read(dir, { placeholders: {}, database: undefined, user: undefined, environment: {} })
    })
  },
})

/** A vector: this content has this checksum. */
const content = 'CREATE TABLE a (id int);\nSELECT 1;\n'
const checksum = 1455298515

const raw = (sql: Sql) =>
  sql<
    Record<string, unknown>[]
  >`select installed_rank as rank, version, description, type, script, checksum, installed_by = current_user as me,
    installed_on between localtimestamp - interval '1 minute' and localtimestamp as now, execution_time as time, success
    from flyway_schema_history order by installed_rank`

const brief = async (sql: Sql) => (await rowsOf(sql)).map(({ id, kind, ok }) => `${kind} ${id} ${ok ? 'ok' : 'failed'}`)

describe('the history of Flyway', () => {
  test('is created as Flyway creates it', async ({ sql }) => {
    const shape = await createdAs(sql, itsTable)
    // From 18 on, NOT NULL is a constraint of its own.
    expect(shape).toHaveLength(server().major >= 18 ? 21 : 13)
    expect(await rowsOf(sql)).toEqual([])
  })

  test('gets the rows that Flyway writes, and then the times', async ({ sql, read }) => {
    const files = await read('V1__create_users.sql', "x/V1_01__it's.sql", 'V2.sql', 'R__all_views.sql')
    await record(sql, files)
    const row = { type: 'SQL', checksum, me: true, now: true, time: 0, success: true }
    const expected = [
      { rank: 1, version: '1', description: 'create users', script: 'V1__create_users.sql', ...row },
      { rank: 2, version: '1.01', description: "it's", script: "x/V1_01__it's.sql", ...row },
      { rank: 3, version: '2', description: '', script: 'V2.sql', ...row },
      { rank: 4, version: null, description: 'all views', script: 'R__all_views.sql', ...row },
    ]
    expect(await raw(sql)).toEqual(expected)

    await record(sql, files.slice(3))
    await sql.unsafe(
      native.durations(
        table,
        files.map((file, i) => ({ file, durationMs: i + 0.6 })),
      ),
    )
    expect((await raw(sql)).map(({ rank, time }) => [rank, time])).toEqual([
      [1, 1],
      [2, 2],
      [3, 3],
      [4, 0],
      [5, 4],
    ])
  })

  test('counts from the highest rank, after the marker of a created schema', async ({ sql, read }) => {
    await itsRows(sql, [[0, null, '<< Flyway Schema Creation >>', 'SCHEMA', '"app"', null]])
    await record(sql, await read('V1__a.sql'))
    expect((await raw(sql)).map(({ rank, version }) => [rank, version])).toEqual([
      [0, null],
      [1, '1'],
    ])
  })

  test('a file outside a transaction is recorded as failed until it is done', async ({ sql, read }) => {
    const files = await read('V1__a.sql', 'V2__b.sql', 'R__c.sql')
    await record(sql, files.slice(0, 1))
    for (const file of files.slice(1)) {
      await sql.unsafe(native.start(table, file, undefined))
      expect(await rowsOf(sql)).toMatchObject([{ id: '1' }, { id: file.id, ok: false }])
      await sql.unsafe(native.forget(table, file, undefined))
      expect(await brief(sql)).toEqual(['versioned 1 ok'])
    }
    for (const file of files.slice(1)) {
      await sql.unsafe(native.start(table, file, undefined))
      await sql.unsafe(native.finish(table, file, undefined))
    }
    const ours = await raw(sql)
    await sql`truncate flyway_schema_history`
    await record(sql, files)
    expect(ours).toEqual(await raw(sql))
    expect(ours).toHaveLength(3)
  })

  test('has the marker of Flyway for a baseline, which stands for everything up to it', async ({ sql, read }) => {
    await sql.unsafe(native.baseline(table, one(await read('V1_2__a.sql'))))
    const words = '<< Flyway Baseline >>'
    expect(await raw(sql)).toEqual([
      {
        rank: 1,
        version: '1.2',
        description: words,
        type: 'BASELINE',
        script: words,
        checksum: null,
        me: true,
        now: true,
        time: 0,
        success: true,
      },
    ])
    expect(await rowsOf(sql)).toMatchObject([{ id: '1.2', kind: 'baseline', checksum: null, ok: true }])
  })

  test('has a baseline migration as Flyway records it, beside the versioned one', async ({ sql, read }) => {
    const files = await read('B2__base.sql', 'V2__b.sql', 'V3__c.sql')
    const [base, third] = flyway.choose?.(files, []) ?? []
    if (!base || !third) throw new Error('they were not read')
    await sql.unsafe(native.start(table, base, undefined))
    expect(await brief(sql)).toEqual(['baseline 2 failed'])
    await sql.unsafe(native.forget(table, base, undefined))
    expect(await raw(sql)).toEqual([])
    await sql.unsafe(native.start(table, base, undefined))
    await sql.unsafe(native.finish(table, base, undefined))
    await record(sql, [third])
    await sql.unsafe(
      native.durations(table, [
        { file: base, durationMs: 7 },
        { file: third, durationMs: 8 },
      ]),
    )
    const row = { checksum, me: true, now: true, success: true }
    expect(await raw(sql)).toEqual([
      { rank: 1, version: '2', description: 'base', type: 'SQL_BASELINE', script: 'B2__base.sql', time: 7, ...row },
      { rank: 2, version: '3', description: 'c', type: 'SQL', script: 'V3__c.sql', time: 8, ...row },
    ])
    expect(await brief(sql)).toEqual(['baseline 2 ok', 'versioned 3 ok'])
    await sql`update flyway_schema_history set checksum = 1`
    await sql.unsafe(native.realign(table, base))
    expect((await raw(sql)).map(({ type, checksum }) => [type, checksum])).toEqual([
      ['SQL_BASELINE', checksum],
      ['SQL', 1],
    ])
  })

  test('says that a file was taken back, as repair does, and takes it again', async ({ sql, read }) => {
    const files = await read('V1__a.sql', 'V2__b.sql', 'R__c.sql')
    await record(sql, files)
    for (const file of files.slice(1)) await sql.unsafe(native.unrecord(table, file, undefined))
    const row = { type: 'DELETE', checksum, me: true, now: true, time: 0, success: true }
    expect((await raw(sql)).slice(3)).toEqual([
      { rank: 4, version: '2', description: 'b', script: 'V2__b.sql', ...row },
      { rank: 5, version: null, description: 'c', script: 'R__c.sql', ...row },
    ])
    expect(await brief(sql)).toEqual(['versioned 1 ok'])

    await sql.unsafe(native.unrecord(table, one(files, '2'), undefined))
    expect(await raw(sql)).toHaveLength(5)
    await record(sql, files.slice(1))
    expect(await brief(sql)).toEqual(['versioned 1 ok', 'versioned 2 ok', 'repeatable R:c ok'])
  })

  test('loses a failed row when it is taken back', async ({ sql, read }) => {
    const [file] = await read('V1__a.sql')
    await itsRows(sql, [[1, '1.0', 'a', 'SQL', 'V1.0__a.sql', 1, false]])
    await sql.unsafe(native.unrecord(table, file as Migration, undefined))
    expect(await raw(sql)).toEqual([])
  })

  test('is aligned with a file as repair does it: description, type and checksum, not the script', async ({
    sql,
    read,
  }) => {
    await itsRows(sql, [
      [1, '1.0', 'old name', 'JDBC', 'db.migration.V1_0__Old', null],
      [2, '2', 'b', 'SQL', 'V2__b.sql', 7],
      [3, null, 'c', 'SQL', 'R__c.sql', 8],
      [4, null, 'c', 'SQL', 'R__c.sql', 9],
    ])
    const files = await read('V1__new_name.sql', 'R__c.sql')
    for (const file of files) await sql.unsafe(native.realign(table, file))
    expect(
      (await raw(sql)).map(({ description, type, script, checksum }) => [description, type, script, checksum]),
    ).toEqual([
      ['new name', 'SQL', 'db.migration.V1_0__Old', checksum],
      ['b', 'SQL', 'V2__b.sql', 7],
      ['c', 'SQL', 'R__c.sql', 8],
      ['c', 'SQL', 'R__c.sql', checksum],
    ])
  })

  test('leaves a marker alone when it is aligned', async ({ sql, read }) => {
    const words = '<< Flyway Baseline >>'
    await itsRows(sql, [[1, '1', words, 'BASELINE', words, null]])
    await sql.unsafe(native.realign(table, one(await read('V1__a.sql'))))
    expect(await raw(sql)).toMatchObject([{ description: words, type: 'BASELINE', checksum: null }])
  })

  test('written by Flyway and written by us is the same', async ({ sql, read }) => {
    const files = await read('V1__a.sql', 'R__b.sql')
    await record(sql, files)
    const ours = await raw(sql)
    await sql`truncate flyway_schema_history`
    await itsRows(sql, [
      [1, '1', 'a', 'SQL', 'V1__a.sql', checksum],
      [2, null, 'b', 'SQL', 'R__b.sql', checksum],
    ])
    const details = { me: true, time: 0 }
    expect(ours).toEqual((await raw(sql)).map((row) => ({ ...row, ...details })))
    expect(ours).toHaveLength(2)
  })

  test('may have another name and be in another schema, whatever the session looks into', async ({ sql, read }) => {
    const files = await read('V1__a.sql')
    const schema = uniqueName('s')
    const other = `"${schema}"."its ""own"""`
    await sql.unsafe(`create schema ${schema}`)
    await sql.begin(async (tx) => {
      await tx.unsafe(native.create(other))
      await tx.unsafe(`set local search_path = ''`)
      await tx.unsafe(native.record(other, one(files), undefined))
      await tx.unsafe(native.durations(other, [{ file: one(files), durationMs: 3 }]))
      const [row] = await tx.unsafe<{ rows: NativeRow[] }[]>(native.select(other))
      expect(row?.rows).toMatchObject([{ id: '1', durationMs: 3 }])
    })
    expect(await shapeOf(sql, schema)).toContainEqual(expect.stringContaining('"its ""own""_s_idx"'))
    expect(await rowsOf(sql)).toEqual([])
  })
})

describe('rows of Flyway are read', () => {
  test('with times in UTC, in the order in which they were applied', async ({ sql }) => {
    await sql.unsafe(itsTable)
    await itsRows(sql, [
      [2, '1', 'a', 'SQL', 'x/V1__a.sql', -5],
      [1, '2', 'b', 'JDBC', 'db.migration.V2__B', null],
    ])
    await sql`update flyway_schema_history set installed_on = '2026-01-02 05:30:00.25'`
    const rows = await sql.begin(async (tx) => {
      await tx`set local time zone 'Asia/Kolkata'`
      return (await tx.unsafe<{ rows: NativeRow[] }[]>(native.select(table)))[0]?.rows
    })
    const row = {
      kind: 'versioned',
      ok: true,
      appliedAt: '2026-01-02T00:00:00.250Z',
      durationMs: 12,
      appliedBy: 'flyway',
    }
    expect(rows).toEqual([
      { id: '2', name: 'db.migration.V2__B', checksum: null, description: 'b', ...row },
      { id: '1', name: 'x/V1__a', checksum: '-5', description: 'a', ...row },
    ])
  })

  test.for([
    [
      'the marker of a created schema',
      [[0, null, '<< Flyway Schema Creation >>', 'SCHEMA', '"app"', null]],
      ['versioned null ok'],
    ],
    [
      'a baseline of an old release',
      [[1, '1', '<< Flyway Init >>', 'INIT', '<< Flyway Init >>', null]],
      ['baseline 1 ok'],
    ],
    ['a baseline migration', [[1, '3', 'base', 'SQL_BASELINE', 'B3__base.sql', 4]], ['baseline 3 ok']],
    [
      'a baseline migration of an old release',
      [[1, '3', 'base', 'SQL_STATE_SCRIPT', 'S3__base.sql', 4]],
      ['baseline 3 ok'],
    ],
    ['a Java migration of an old release', [[1, '3', 'a', 'SPRING_JDBC', 'a.V3__A', null]], ['versioned 3 ok']],
    ['a failed file', [[1, '3', 'a', 'SQL', 'V3__a.sql', 4, false]], ['versioned 3 failed']],
    ['a failed repeatable file', [[1, null, 'a', 'SQL', 'R__a.sql', 4, false]], ['repeatable R:a failed']],
    [
      'a deleted file',
      [
        [1, '1.0', 'a', 'SQL', 'V1.0__a.sql', 4],
        [2, '2', 'b', 'SQL', 'V2__b.sql', 4],
        [3, '1.0', 'a', 'DELETE', 'V1.0__a.sql', 4],
      ],
      ['versioned 2 ok'],
    ],
    [
      'a deleted file that came back with another spelling of its version',
      [
        [1, '1.0', 'a', 'SQL', 'V1.0__a.sql', 4],
        [2, '1.0', 'a', 'DELETE', 'V1.0__a.sql', 4],
        [3, '01', 'a', 'SQL', 'V01__a.sql', 5],
      ],
      ['versioned 1 ok'],
    ],
    [
      'an undone file',
      [
        [1, '1', 'a', 'SQL', 'V1__a.sql', 4],
        [2, '1', 'a', 'UNDO_SQL', 'U1__a.sql', 6],
      ],
      [],
    ],
    [
      'a file that could not be undone',
      [
        [1, '1', 'a', 'SQL', 'V1__a.sql', 4],
        [2, '1', 'a', 'UNDO_SQL', 'U1__a.sql', 6, false],
      ],
      ['versioned 1 failed'],
    ],
    [
      'a failed file that nobody repaired',
      [
        [1, '1', 'a', 'SQL', 'V1__a.sql', 4, false],
        [2, '1', 'a', 'SQL', 'V1__a.sql', 4],
      ],
      ['versioned 1 failed'],
    ],
    [
      'repeatable files: the newest run of each',
      [
        [1, null, 'a', 'SQL', 'R__a.sql', 4],
        [2, null, 'b', 'SQL', 'R__b.sql', 4],
        [3, null, 'a', 'SQL', 'R__a.sql', 5],
      ],
      ['repeatable R:b ok', 'repeatable R:a ok'],
    ],
    [
      'a deleted repeatable file',
      [
        [1, null, 'a', 'SQL', 'R__a.sql', 4],
        [2, null, 'a', 'DELETE', 'R__a.sql', 4],
      ],
      [],
    ],
  ] as [string, ItsRow[], string[]][])('%s', async ([, rows, expected], { sql }) => {
    await sql.unsafe(itsTable)
    await itsRows(sql, rows)
    expect(await brief(sql)).toEqual(expected)
  })

  test('with versions compared as in the files', async ({ sql }) => {
    await sql.unsafe(itsTable)
    const versions = [
      '0',
      '0.0.1',
      '1',
      '1.10',
      '2.00',
      '003',
      '4.0.0',
      '5.007.0',
      '1000',
      '20.0',
      '6.1.0.1',
      '99999999999999999999',
    ]
    await itsRows(
      sql,
      versions.map((version, i) => [i + 1, version, 'x', 'SQL', 'x', 1]),
    )
    expect((await rowsOf(sql)).map(({ id }) => id)).toEqual(versions.map(normalVersion))
  })
})

describe('before a file', () => {
  test('the schema of the history comes first, and what the session looks into otherwise stays', async ({ sql }) => {
    await sql.unsafe(`create schema "it's"`)
    const path = async (setting: string) => {
      const statements = `set search_path = ${setting}; ${native.prepare(`"it's"."history"`)}; select current_setting('search_path') as path`
      return (await sql.unsafe(statements)).flat().find((row) => row !== undefined && 'path' in row)?.path
    }
    expect(await path('"$user", public')).toBe(`"it's","$user", public`)
    expect(await path(`''`)).toBe(`"it's",""`)
    await sql.unsafe(`set search_path = public; ${native.prepare(`"it's"."history"`)}; create table here (); reset all`)
    expect(await sql`select schemaname from pg_tables where tablename = 'here'`).toEqual([{ schemaname: "it's" }])
  })
})
