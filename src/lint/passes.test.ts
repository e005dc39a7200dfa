import { expect, test } from 'vitest'
import { lintFiles } from './lint.ts'
import { loadParser } from './parse.ts'
import { inPasses } from './passes.ts'

const parser = await loadParser()

const commandsOf = (clauses: string) => {
  const [statement] = parser.parse(`alter table t ${clauses}`).statements
  return statement && 'AlterTableStmt' in statement.node ? (statement.node.AlterTableStmt.cmds ?? []) : []
}

const order = (...args: Parameters<typeof inPasses>) => inPasses(...args).map(({ subtype = '' }) => subtype.slice(3))

test('commands run in passes, in the order of the text within one', () => {
  const commands = commandsOf(
    'validate constraint x, alter a set default 1, add foreign key (a) references u, add primary key (a), alter b set not null, ' +
      'add column d int, add column c int, alter a type int, alter e drop default, drop constraint k, drop column z',
  )
  expect(order(commands)).toEqual([
    ...['ColumnDefault', 'DropConstraint', 'DropColumn', 'AlterColumnType', 'AddColumn', 'AddColumn', 'SetNotNull'],
    ...['AddConstraint', 'ColumnDefault', 'AddConstraint', 'ValidateConstraint'],
  ])
  expect(order(commands, 'addColumn')).toEqual(['ColumnDefault', 'DropConstraint', 'DropColumn', 'AlterColumnType'])
})

const rulesBroken = (text: string) => {
  const file = (name: string, content: string) => ({
    name,
    path: name,
    text: content,
    line: 1,
    mode: 'wrapped' as const,
  })
  const before =
    'create table u (id uuid primary key);\n' +
    'create table t (id int primary key, a int, b varchar(10), constraint filled check (a is not null))'
  return lintFiles({
    parser,
    files: [file('1', before), file('2', text)],
    isLinted: ({ name }) => name === '2',
  }).map(({ rule }) => rule)
}

test.each([
  ['alter table t alter a set not null', []],
  ['alter table t alter a set not null, drop constraint filled', ['set-not-null-scan']],
  ['alter table t alter id set not null', []],
  ['alter table t alter b set not null, add check (b is not null)', ['check-validates', 'set-not-null-scan']],
  [
    'alter table t add foreign key (a) references u, alter a type uuid using null',
    ['alter-column-type', 'fk-validates'],
  ],
])('%s breaks %j', (text, expected) => {
  expect(rulesBroken(text).sort()).toEqual(expected)
})
