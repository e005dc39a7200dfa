import { expect, test } from 'vitest'
import { lastWords } from './rclone-said.ts'

test.each([
  [
    '2026/11/30 04:53:08 ERROR : x\n2026/11/30 04:53:09 Failed to lsjson: directory not found\n',
    'Failed to lsjson: directory not found',
  ],
  [
    'Failed: Put "https://shop.blob.core.windows.net/b/x?sv=2022&sig=s3cr3t": timeout',
    'Failed: Put "https://shop.blob.core.windows.net/b/x?… timeout',
  ],
  ['Failed: dial https://me:s3cr3t@nas:8080/x', 'Failed: dial https://…@nas:8080/x'],
  ['\u001b[31mbad\u001b[0m', '\\u001b[31mbad\\u001b[0m'],
  ['', ''],
])('of what rclone said only the end is told, without what may be a secret: %j', (text, expected) => {
  expect(lastWords(text)).toBe(expected)
})
