import { describe, expect, test } from 'vitest'
import type { TocEntry, TocSection } from '../archive/toc.ts'
import { selectEntries } from './select.ts'

type Line = [id: number, desc: string, name: string, dependencies?: number[]]

const sectionOf = (desc: string): TocSection =>
  /DATA|SEQUENCE SET/.test(desc)
    ? 'data'
    : /INDEX|CONSTRAINT|TRIGGER|PUBLICATION|POLICY/.test(desc)
      ? 'post-data'
      : 'pre-data'

/** `app.orders x` is the tag `orders x` in schema `app`. */
const entry = ([id, desc, name, dependencies = []]: Line): TocEntry => {
  const [, namespace = '', tag = ''] = /^(?:(\w+)\.)?(.*)$/.exec(name) ?? []
  return {
    id,
    desc,
    tag,
    namespace,
    section: sectionOf(desc),
    dependencies,
    ...{ defn: '', dropStmt: '', tablespace: '', owner: '' },
  }
}

const shop: Line[] = [
  [1, 'ENCODING', 'ENCODING'],
  [7, 'SCHEMA', 'app'],
  [8, 'SCHEMA', 'other'],
  [2, 'EXTENSION', 'hstore', [8]],
  [3, 'COMMENT', 'EXTENSION hstore', [2]],
  [10, 'TYPE', 'app.mood', [7]],
  [11, 'FUNCTION', 'app.touch()', [7]],
  [20, 'TABLE', 'app.users', [10, 7]],
  [21, 'TABLE', 'app.orders', [7]],
  [22, 'COMMENT', 'app.TABLE orders', [21]],
  [23, 'ACL', 'app.TABLE orders', [21]],
  [24, 'SEQUENCE', 'app.orders_id_seq', [21, 7]],
  [25, 'SEQUENCE OWNED BY', 'app.orders_id_seq', [24]],
  [26, 'VIEW', 'app.v', [21, 20, 7]],
  [27, 'TABLE', 'app.child', [20, 7]],
  [28, 'TABLE', 'app.parted', [7]],
  [29, 'TABLE', 'app.part_1', [28, 7]],
  [30, 'TABLE ATTACH', 'app.part_1', [29, 28]],
  [31, 'TABLE', 'other.h', [2, 8]],
  [32, 'DEFAULT', 'app.orders id', [24, 21, 21]],
  [40, 'TABLE DATA', 'app.users', [20]],
  [41, 'TABLE DATA', 'app.orders', [21]],
  [42, 'TABLE DATA', 'app.child', [27]],
  [43, 'TABLE DATA', 'app.part_1', [29]],
  [44, 'TABLE DATA', 'other.h', [31]],
  [45, 'SEQUENCE SET', 'app.orders_id_seq', [24]],
  [50, 'CONSTRAINT', 'app.users users_pkey', [20]],
  [51, 'CONSTRAINT', 'app.orders orders_pkey', [21]],
  [52, 'INDEX', 'app.orders_idx', [21]],
  [53, 'TRIGGER', 'app.orders t', [21, 11]],
  [54, 'FK CONSTRAINT', 'app.orders orders_user_fk', [20, 50, 21]],
  [55, 'POLICY', 'app.users p', [20, 21]],
  [56, 'PUBLICATION', 'pub'],
  [57, 'PUBLICATION TABLE', 'app.pub orders', [56, 21]],
  [58, 'INDEX', 'app.users_gist', [20, 2]],
]

const select = (wanted: Partial<Parameters<typeof selectEntries>[1]>) => {
  const all = { schemas: [], tables: [], skipExtensions: [], ...wanted }
  const { entries, notes, tables } = selectEntries({ entries: shop.map(entry) }, all)
  return { ids: entries.map(({ id }) => id).sort((a, b) => a - b), notes, tables: [...tables] }
}

describe('a table', () => {
  test('comes with what belongs to it, and what that needs, but not with those it refers to', () => {
    expect(select({ tables: ['app.orders'] })).toEqual({
      ids: [1, 7, 11, 21, 22, 23, 24, 25, 32, 41, 45, 51, 52, 53],
      tables: ['"app"."orders"'],
      notes: [
        'the foreign key app.orders orders_user_fk is left out: the table that it refers to was not chosen',
        'publication table pub orders is left out: a part of a backup has no publications and subscriptions',
      ],
    })
  })

  test('keeps its foreign key if the other table is chosen, too', () => {
    const { ids, notes } = select({ tables: ['app.orders', 'app.users'] })
    expect(ids).toEqual(expect.arrayContaining([10, 20, 40, 50, 54, 55, 58, 2, 8]))
    expect(notes).toEqual([expect.stringContaining('publication table')])
  })

  test('that inherits comes with an empty parent, and that is said', () => {
    expect(select({ tables: ['app.child'] })).toEqual({
      ids: [1, 7, 10, 20, 27, 42],
      tables: ['"app"."child"'],
      notes: ['app.users comes without its rows: it is only needed by app.child'],
    })
  })

  test('comes with its partitions; a partition with its table', () => {
    expect(select({ tables: ['app.parted'] }).ids).toEqual([1, 7, 28, 29, 30, 43])
    expect(select({ tables: ['app.part_1'] }).ids).toEqual([1, 7, 28, 29, 30, 43])
  })

  test('that is a view comes with the rows that it reads', () => {
    const { tables, notes } = select({ tables: ['app.v'] })
    expect(tables).toEqual(['"app"."users"', '"app"."orders"'])
    expect(notes).toEqual([expect.stringContaining('publication table')])
  })
})

test('a schema comes with everything in it, and with what that needs elsewhere', () => {
  const { ids, notes } = select({ schemas: ['other'] })
  expect(ids).toEqual([1, 2, 3, 8, 31, 44])
  expect(notes).toEqual([])
  expect(select({ schemas: ['app'] }).ids).toEqual(
    shop
      .map(([id]) => id)
      .filter((id) => ![31, 44, 56, 57].includes(id))
      .sort((a, b) => a - b),
  )
})

test('an extension is left out with what needs it, and everything else is kept', () => {
  const { ids, notes } = select({ skipExtensions: ['hstore'] })
  expect(ids).toEqual(
    shop
      .map(([id]) => id)
      .filter((id) => ![2, 3, 31, 44, 58].includes(id))
      .sort((a, b) => a - b),
  )
  expect(notes).toEqual([
    'table other.h is left out: it needs the extension hstore',
    'index app.users_gist is left out: it needs the extension hstore',
  ])
})

test.for<[Parameters<typeof select>[0], string]>([
  [{ tables: ['orders'] }, 'this backup has no table orders; did you mean app.orders?'],
  [{ tables: ['app.ordrs'] }, 'this backup has no table app.ordrs; did you mean app.orders?'],
  [{ schemas: ['apps'] }, 'this backup has no schema apps; did you mean app?'],
  [{ skipExtensions: ['postgis'] }, 'this backup has no extension postgis'],
])('an unknown name is exit 2: %o', ([wanted, message]) => {
  expect(() => select(wanted)).toThrow(expect.objectContaining({ kind: 'usage', message }))
})
