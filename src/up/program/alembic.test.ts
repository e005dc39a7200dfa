import { expect, test } from 'vitest'
import { headsCommand, parseHeads } from './alembic.ts'

test.each([
  ['alembic upgrade head', 'alembic heads --resolve-dependencies'],
  ['alembic upgrade heads', 'alembic heads --resolve-dependencies'],
  [
    '/srv/venv/bin/alembic -c db/alembic.ini -n shop upgrade head',
    '/srv/venv/bin/alembic -c db/alembic.ini -n shop heads --resolve-dependencies',
  ],
  ['python3 -m alembic upgrade head', 'python3 -m alembic heads --resolve-dependencies'],
  ['poetry run alembic upgrade head', 'poetry run alembic heads --resolve-dependencies'],
])('%s goes where %s says', (command, expected) => {
  expect(headsCommand(command.split(' '))?.join(' ')).toBe(expected)
})

test.each([
  'alembic upgrade +1',
  'alembic upgrade ae1027a6acf',
  'alembic upgrade shop@head',
  'alembic upgrade head --sql',
  'alembic upgrade',
  'alembic downgrade base',
  'upgrade head',
  'flask db upgrade head',
  './migrate.sh',
  'liquibase update',
])('where %s goes is not known', (command) => {
  expect(headsCommand(command.split(' '))).toBeUndefined()
})

test('the heads are found in the output of alembic', () => {
  const output = 'ccc1 (head)\nbbb1 (lab, other) (head)\naaa1 (effective head)\n'
  expect(parseHeads(output)).toEqual(['aaa1', 'bbb1', 'ccc1'])
  expect(parseHeads('INFO  [alembic] a line\n')).toEqual([])
})
