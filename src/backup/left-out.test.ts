import { describe, expect, test } from 'vitest'
import {
  type Exclude,
  excludeArguments,
  leftOutOf,
  neededAccess,
  notCounted,
  planLeftOut,
  type Relation,
  type Schema,
  unmatchedWarnings,
} from './left-out.ts'
import type { Access } from './preflight.ts'

let oid = 16_384
const relation = (schema: string, name: string, more: Partial<Relation> = {}): Relation => ({
  ...{ oid: ++oid, schema, name, quoted: `${schema}.${name}`, kind: 'r', parents: [], owner: null },
  ...{ member: false, configuration: false },
  ...more,
})
const schema = (name: string): Schema => ({ oid: ++oid, name, quoted: name })
const exclude = (more: Partial<Exclude>): Exclude => ({ schemas: [], tables: [], tableData: [], ...more })

const log = relation('public', 'log', { kind: 'p' })
const log1 = relation('public', 'log_1', { parents: [log.oid] })
const far = relation('far', 'ten', { parents: [log.oid] })
const farther = relation('far', 'tenth', { parents: [far.oid] })
const orders = relation('public', 'orders')
const found = {
  schemas: [schema('far'), schema('public'), schema('tmp')],
  relations: [
    ...[log, log1, far, farther, orders],
    relation('public', 'log_id_seq', { kind: 'S', owner: log.oid }),
    relation('public', 'orders_id_seq', { kind: 'S', owner: orders.oid }),
    relation('public', 'numbers', { kind: 'S' }),
    relation('public', 'spatial_ref_sys', { member: true, configuration: true }),
    relation('public', 'of_extension', { member: true }),
    relation('tmp', 'a'),
    relation('tmp', 'of_extension', { member: true }),
  ],
}
const plan = (more: Partial<Exclude>) => planLeftOut(exclude(more), found)
const named = (some: Iterable<{ quoted: string }>) => [...some].map(({ quoted }) => quoted)
const argumentsFor = (more: Partial<Exclude>, major = 15, encoding = 'UTF8') =>
  excludeArguments(plan(more), { major, encoding })

describe('what is left out', () => {
  test('a table goes with its heirs of every level, and its sequence', () => {
    const { tables, gone } = plan({ tables: ['log'] })
    expect(named(tables)).toEqual(['public.log', 'public.log_1', 'far.ten', 'far.tenth'])
    expect(named(gone)).toEqual([...named(tables), 'public.log_id_seq'])
  })

  test('a schema goes with everything in it but what an extension makes again', () => {
    const { schemas, tables, gone, unmatched } = plan({ schemas: ['t*'], tables: ['tmp.a'] })
    expect([named(schemas), named(tables), named(gone), unmatched]).toEqual([['tmp'], [], ['tmp.a'], []])
  })

  test('a table whose rows are left out is no other table, and one that is gone has none', () => {
    const { tableData, gone } = plan({ tables: ['orders'], tableData: ['log', 'orders'] })
    expect(named(tableData)).toEqual(['far.ten', 'far.tenth', 'public.log', 'public.log_1'])
    expect(named(gone)).toEqual(['public.orders', 'public.orders_id_seq'])
    expect([...notCounted({ ...plan({}), gone, tableData })]).toEqual([...named(gone), ...named(tableData)])
  })

  test('of the tables of an extension only the rows can be left out', () => {
    const { tables, tableData, gone } = plan({ tables: ['spatial*', 'of_extension'] })
    expect([named(tables), named(tableData), named(gone)]).toEqual([[], ['public.spatial_ref_sys'], []])
  })

  test('what matches nothing is said', () => {
    const { unmatched } = plan({
      schemas: ['Far', 'far'],
      tables: ['far.*', 'of_extension'],
      tableData: ['*_seq', 'Log'],
    })
    expect(unmatchedWarnings({ unmatched })).toEqual([
      'Far in backup.exclude.schemas matches nothing',
      'of_extension in backup.exclude.tables matches nothing',
      '*_seq in backup.exclude.tableData matches nothing',
      'Log in backup.exclude.tableData matches nothing',
    ])
  })

  test('the manifest says it, or nothing where nothing was left out', () => {
    expect(leftOutOf(plan({ tables: ['nosuch'] }))).toBeUndefined()
    expect(leftOutOf(plan({ schemas: ['tmp'], tables: ['orders'], tableData: ['numb*'] }))).toEqual({
      ...{ schemas: ['tmp'], tables: ['public.orders'], table_data: ['public.numbers'] },
      patterns: { schemas: ['tmp'], tables: ['orders'], table_data: ['numb*'] },
    })
  })

  test('no right to read it is needed, but to lock a table without its rows', () => {
    const access: Access = {
      ...{ role: 'r', superuser: false, major: 15, largeObjects: 0, userMappings: [], subscriptions: [] },
      schemas: ['tmp', 'far'],
      tables: ['tmp.a', 'public.log', 'public.orders'],
      sequences: ['public.orders_id_seq', 'public.numbers'],
      rowSecurity: ['public.log', 'public.orders', 'public.other'],
    }
    const left = plan({ schemas: ['tmp'], tables: ['orders'], tableData: ['log'] })
    expect(neededAccess(access, left)).toEqual({
      ...access,
      ...{ schemas: ['far'], tables: ['public.log'], sequences: ['public.numbers'], rowSecurity: ['public.other'] },
    })
  })
})

describe('arguments of pg_dump', () => {
  test('before 16 name the heirs, later pg_dump finds them', () => {
    expect(argumentsFor({ schemas: ['t*'], tables: ['log'], tableData: ['orders'] })).toEqual([
      '--exclude-schema="t"*',
      '--exclude-table="public"."log"',
      '--exclude-table="public"."log_1"',
      '--exclude-table="far"."ten"',
      '--exclude-table="far"."tenth"',
      '--exclude-table="public"."log_id_seq"',
      '--exclude-table-data="public"."orders"',
    ])
    expect(argumentsFor({ tables: ['log'], tableData: ['log', 'orders'] }, 16)).toEqual([
      '--exclude-table-and-children="public"."log"',
      '--exclude-table-and-children="public"."log_id_seq"',
      '--exclude-table-data-and-children="public"."log"',
      '--exclude-table-data-and-children="public"."orders"',
    ])
  })

  test('are patterns, unless one would also mean a sequence of a table that stays', () => {
    expect(argumentsFor({ tables: ['log*'] }, 16)).toEqual(['--exclude-table-and-children="public"."log"*'])
    expect(argumentsFor({ tableData: ['*r*s*'] }, 16)).toEqual(['--exclude-table-data-and-children="public".*"r"*"s"*'])
    expect(argumentsFor({ tableData: ['*s_??*', '*_1*'] }, 15)).toEqual(['--exclude-table-data="public".*"_1"*'])
    expect(argumentsFor({ tableData: ['*o*_*'] }, 16)).toEqual(['--exclude-table-data-and-children="public"."log_1"'])
  })

  test('in another encoding than UTF-8 are converted by the server', () => {
    expect(argumentsFor({ tables: ['größe'] }, 15, 'LATIN1').at(-1)).toBe('--encoding=UTF8')
    for (const [entry, encoding] of [
      ['log', 'LATIN1'],
      ['größe', 'UTF8'],
      ['größe', 'SQL_ASCII'],
    ] as const)
      expect(argumentsFor({ tables: [entry] }, 15, encoding)).not.toContain('--encoding=UTF8')
  })

  test('cannot hold a name that is not UTF-8', () => {
    const broken = relation('public', 'caf\udce9', { parents: [orders.oid] })
    const left = planLeftOut(exclude({ tables: ['orders'] }), { ...found, relations: [orders, broken] })
    expect(() => excludeArguments(left, { major: 15, encoding: 'SQL_ASCII' })).toThrow(
      'public.caf\\xe9 cannot be left out: its name is not valid UTF-8',
    )
  })
})
