import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { configSchema } from '../src/config/schema.ts'
import { loadParser } from '../src/lint/parse.ts'
import type { ParsedFile } from '../src/lint/statement.ts'

const root = join(import.meta.dirname, '..')
const example = join(root, 'examples', 'telegram-games')
const read = (...path: string[]) => readFileSync(join(...path), 'utf8')

/** What other programs were told of the schema: it may only grow. */
const tables: Record<string, { columns: string; indexes: string[] }> = {
  users: {
    columns:
      'id telegram_id username first_name last_name language_code is_bot is_premium created_at updated_at metadata',
    indexes: ['telegram_id', 'created_at'],
  },
  games: {
    columns:
      'id user_id algorithm_type bet_amount outcome multiplier payout_amount house_edge session_id seed created_at metadata',
    indexes: ['user_id', 'created_at', 'session_id'],
  },
  transactions: {
    columns: 'id user_id transaction_type amount balance_before balance_after status reference_id created_at metadata',
    indexes: ['user_id', 'created_at', 'transaction_type'],
  },
  notifications: {
    columns: 'id user_id notification_type title message is_read read_at created_at metadata',
    indexes: ['user_id', 'created_at', 'is_read'],
  },
  audit_logs: {
    columns:
      'id user_id action entity_type entity_id before_state after_state ip_address user_agent created_at metadata',
    indexes: ['user_id', 'created_at', 'action', 'entity_type entity_id'],
  },
  outbox: {
    columns: 'id user_id outbox_type status payload attempts next_retry_at created_at updated_at metadata',
    indexes: ['user_id', 'status', 'created_at', 'next_retry_at'],
  },
  settings: { columns: 'id setting_key setting_value created_at updated_at', indexes: ['setting_key'] },
}

const money = 'bet_amount multiplier payout_amount house_edge amount balance_before balance_after'.split(' ')

// biome-ignore lint/suspicious/noExplicitAny: the tree of another library
type Tree = any

describe('the sample schema', () => {
  let statements: Tree[]
  let added: Tree[]

  beforeAll(async () => {
    const { parse } = await loadParser()
    const nodesOf = ({ statements, errors }: ParsedFile): Tree[] => {
      expect(errors).toEqual([])
      return statements.map(({ node }) => node)
    }
    statements = nodesOf(parse(read(root, 'migrations', '001_create_initial_schema.sql')))
    added = nodesOf(parse(read(root, 'migrations', '002_add_verification_columns.sql')))
  })

  const created = () => statements.flatMap(({ CreateStmt }) => CreateStmt ?? [])
  const columnsOf = (table: Tree): Tree[] => table.tableElts.flatMap(({ ColumnDef }: Tree) => ColumnDef ?? [])
  const typeOf = ({ typeName }: Tree) => typeName.names.at(-1).String.sval
  const constraintsOf = ({ constraints = [] }: Tree) => constraints.map(({ Constraint }: Tree) => Constraint)

  test('has seven tables with their columns, and a comment on each', () => {
    const found = created().map((table) => [
      table.relation.relname,
      columnsOf(table)
        .map(({ colname }) => colname)
        .join(' '),
    ])
    const wanted = Object.entries(tables).map(([name, { columns }]) => [name, columns])
    expect(Object.fromEntries(found)).toEqual(Object.fromEntries(wanted))
    const commented = statements
      .filter(({ CommentStmt }) => CommentStmt?.objtype === 'OBJECT_TABLE')
      .map(({ CommentStmt }) => CommentStmt.object.List.items[0].String.sval)
    expect(commented.toSorted()).toEqual(Object.keys(tables).toSorted())
  })

  test('has its indexes, of which two are unique', () => {
    const indexes = statements.flatMap(({ IndexStmt }) => IndexStmt ?? [])
    const keyOf = ({ indexParams }: Tree) => indexParams.map(({ IndexElem }: Tree) => IndexElem.name).join(' ')
    for (const [name, { indexes: wanted }] of Object.entries(tables)) {
      const found = indexes.filter(({ relation }) => relation.relname === name).map(keyOf)
      expect(found.toSorted(), name).toEqual(wanted.toSorted())
    }
    expect(indexes.filter(({ unique }) => unique).map(keyOf)).toEqual(['telegram_id', 'setting_key'])
  })

  test('keeps money in numeric, documents in jsonb and instants with a default', () => {
    for (const column of created().flatMap(columnsOf)) {
      const type = typeOf(column)
      expect(type, column.colname).not.toMatch(/^(float\d|real|money)$/)
      if (money.includes(column.colname)) expect(type, column.colname).toBe('numeric')
      if (/^(metadata|payload|setting_value|before_state|after_state)$/.test(column.colname)) expect(type).toBe('jsonb')
      if (/^(created|updated)_at$/.test(column.colname)) {
        const value = constraintsOf(column).find(({ contype }: Tree) => contype === 'CONSTR_DEFAULT')
        expect(value.raw_expr.SQLValueFunction.op).toBe('SVFOP_CURRENT_TIMESTAMP')
      }
    }
  })

  test('deletes what a user has with the user, and keeps the audit log', () => {
    const actions = created().flatMap((table) =>
      columnsOf(table).flatMap((column) =>
        constraintsOf(column)
          .filter(({ contype }: Tree) => contype === 'CONSTR_FOREIGN')
          .map(({ fk_del_action }: Tree) => [table.relation.relname, column.colname, fk_del_action]),
      ),
    )
    expect(actions).toEqual([
      ['games', 'user_id', 'c'],
      ['transactions', 'user_id', 'c'],
      ['notifications', 'user_id', 'c'],
      ['audit_logs', 'user_id', 'n'],
      ['outbox', 'user_id', 'c'],
    ])
  })

  test('002 adds the verification columns, and may find them there', () => {
    const columns = added.flatMap(({ AlterTableStmt }) => AlterTableStmt?.cmds ?? []).map((cmd) => cmd.AlterTableCmd)
    expect(columns.map(({ def, missing_ok }) => [def.ColumnDef.colname, typeOf(def.ColumnDef), missing_ok])).toEqual([
      ['email_verified', 'bool', true],
      ['phone_verified', 'bool', true],
    ])
    expect(added.flatMap(({ IndexStmt }) => IndexStmt ?? [])).toMatchObject([
      { idxname: 'idx_users_email_verified', if_not_exists: true },
    ])
  })
})

describe('examples/telegram-games', () => {
  const config = configSchema.parse(parse(read(example, 'pgbosun.yaml')))
  const { services, secrets } = parse(read(example, 'compose.yaml'))

  test('checks every table, and asks for what the service promises', () => {
    expect(config.check.tables.toSorted()).toEqual(Object.keys(tables).toSorted())
    const names = config.check.assertions.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    expect(config.check.assertions.filter(({ level }) => level === 'warning')).toHaveLength(1)
  })

  test('uses the migrations and seeds of the checkout, and has none of its own', () => {
    expect(globSync('**/*.{sql,csv}', { cwd: example })).toEqual([])
    for (const service of ['up', 'service'])
      expect(services[service].volumes).toEqual(
        expect.arrayContaining(['./pgbosun.yaml:/pgbosun.yaml:ro', expect.stringMatching(/^\.\.\/\.\.\/migrations:/)]),
      )
    const mounted = Object.values(services as Record<string, { volumes: string[] }>)
      .flatMap(({ volumes }) => volumes.map((volume) => volume.split(':')[0]!))
      .filter((source) => source.startsWith('.'))
    expect(mounted.filter((source) => !existsSync(join(example, source)))).toEqual([])
  })

  test('gives the service a login of its own, and its secret alone', () => {
    expect(config.databases.langsense?.users?.langsense_app).toMatchObject({ preset: 'app' })
    expect(services.service.secrets).toEqual(['database_url'])
    expect(Object.keys(secrets)).toEqual(['postgres_password', 'langsense_app_password', 'database_url'])
    expect(read(example, 'secrets.sh')).toContain('postgresql+asyncpg://langsense_app:%s@postgres/langsense')
  })

  test('never turns money into a float', () => {
    const python = globSync('service/*.py', { cwd: example }).map((file) => read(example, file))
    expect(python.length).toBeGreaterThan(0)
    expect(python.join('\n')).not.toMatch(/\bfloat\(|\bround\(/)
  })
})
