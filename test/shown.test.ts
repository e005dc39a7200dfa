import { expect, test } from 'vitest'
import { argumentsOf, blocksOf, commandsOf, scriptOf } from './support/shown.ts'

test('finds blocks in lists, with their language and line', () => {
  expect(blocksOf('a\n\n- b\n\n  ```sh\n  up\n  ```\n\n```yaml pod\nx:\n  y\n```\n')).toEqual([
    { language: 'sh', text: 'up\n', line: 6 },
    { language: 'yaml pod', text: 'x:\n  y\n', line: 10 },
  ])
})

test('takes for a script what is typed, and not what was printed', () => {
  expect(scriptOf({ language: '', text: '$ pgbosun up\nready\n$ echo\n', line: 1 })).toBe('pgbosun up\necho\n')
  expect(scriptOf({ language: '', text: 'pgbosun up\n', line: 1 })).toBe('pgbosun up\n')
  expect(scriptOf({ language: '', text: 'error: no\n', line: 1 })).toBeUndefined()
})

test('divides a script into commands and words', () => {
  expect(commandsOf('a "b c" | d # no\nx=1 e \\\n  f#g && (h; i)\n')).toEqual([
    ['a', 'b c'],
    ['d'],
    ['x=1', 'e', 'f#g'],
    ['h'],
    ['i'],
  ])
})

test.each([
  ['pgbosun up -- true', ['up', '--', 'true']],
  ['A=b npx pgbosun plan', ['plan']],
  ['pgbosun roles generate > a.yaml 2>b', ['roles', 'generate']],
  ['docker compose exec serve pgbosun backup list', ['backup', 'list']],
  ['docker compose exec pgbosun pgbosun status', ['status']],
  ['docker compose run --rm -e A=b up restore latest --into x', ['restore', 'latest', '--into', 'x']],
  ['docker compose run --rm --volume up:/backups up check', ['check']],
  ['docker run --rm pgbosun:0.1.0 migrate lint', ['migrate', 'lint']],
  ['kubectl exec deploy/shop -c pgbosun -- pgbosun status', ['status']],
  ['/opt/pgbosun/bin/pgbosun up', ['up']],
  ['docker build -t pgbosun -f Containerfile .', undefined],
  ['docker compose up --wait', undefined],
  ['kubectl logs POD -c pgbosun', undefined],
])('%s', (line, args) => {
  expect(argumentsOf(commandsOf(line)[0]!)).toEqual(args)
})
