import { expect } from 'vitest'
import type { Format, NativeHistory, NativeRow } from '../../src/formats/format.ts'
import type { Migration } from '../../src/formats/types.ts'
import type { Sql } from './postgres.ts'
import { shapeOf } from './shape.ts'

type Session = Pick<Sql, 'unsafe'>

/** The history that a format's tool keeps in `table`, written and read in a database as pgbosun does it. */
export function historyIn(format: Format, table: string) {
  if (format.native === undefined) throw new Error(`${format.name} has no history of its own`)
  const native = format.native as Required<NativeHistory>
  const history = {
    native,
    /** As pgbosun reads it. */
    async rowsOf(sql: Session): Promise<NativeRow[]> {
      const [row] = await sql.unsafe<{ rows: NativeRow[] }[]>(native.select(table))
      return row?.rows ?? []
    },
    /** Ids of these rows. */
    idsOf: async (sql: Session) => (await history.rowsOf(sql)).map(({ id }) => id),
    /** Records files as applied, each after the one before it. */
    async record(sql: Session, files: Migration[]): Promise<void> {
      for (const [i, file] of files.entries()) await sql.unsafe(native.record(table, file, files[i - 1]))
    },
    /** Creates it in the words of its tool, drops that, and creates it as pgbosun does: both have one shape, which is returned. */
    async createdAs(
      sql: Sql,
      its: string,
      { schema = 'public', drop = `drop table ${table}` } = {},
    ): Promise<string[]> {
      await sql.unsafe(its)
      const expected = await shapeOf(sql, schema)
      await sql.unsafe(drop)
      await sql.unsafe(native.create(table))
      expect(await shapeOf(sql, schema)).toEqual(expected)
      expect(expected).not.toEqual([])
      return expected
    },
  }
  return history
}

/** A row of a history that keeps the version and nothing else. */
export const bareRow = (id: string): NativeRow => ({
  ...{ id, name: id, kind: 'versioned', checksum: null, ok: true },
  ...{ appliedAt: null, durationMs: null, appliedBy: null },
})

/** The migration of an id, or the first one. */
export function one(files: Migration[], id?: string): Migration {
  const file = files.find((file) => id === undefined || file.id === id)
  if (file === undefined) throw new Error('there is no such migration')
  return file
}
