import { expect, test } from 'vitest'
import { sameSetting, storeSetting } from '../sql/settings.ts'
import { settingValue } from './settings.ts'

test.each([
  ['work_mem', '8MB', '8MB', '"work_mem" to \'8MB\'', '8MB'],
  ['jit', false, 'off', '"jit" to \'off\'', 'off'],
  ['max_parallel_workers', 3, '3', '"max_parallel_workers" to \'3\'', '3'],
  ['search_path', 'app, "My Schema"', ['app', 'My Schema'], `"search_path" to 'app', 'My Schema'`, 'app, "My Schema"'],
  [
    'search_path',
    ['a, b', 'say "hi"'],
    ['a, b', 'say "hi"'],
    `"search_path" to 'a, b', 'say "hi"'`,
    '"a, b", "say ""hi"""',
  ],
  ['search_path', '', [], `"search_path" to ''`, '""'],
  ['app.motto', 'a, b', 'a, b', `"app"."motto" to 'a, b'`, 'a, b'],
])('%s = %j is sent, and recognised as the server stores it', (name, configured, value, sql, stored) => {
  expect(settingValue(name, configured)).toEqual(value)
  expect(storeSetting('role x', name, value)).toBe(`alter role x set ${sql}`)
  expect(sameSetting(name, stored, value)).toBe(true)
  expect(sameSetting(name, `${stored}x`, value)).toBe(false)
})
