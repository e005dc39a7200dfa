import { expect, test } from 'vitest'
import { parseCron } from './cron.ts'
import { isPlainCron } from './plain-cron.ts'

test('what is plain is what node-cron reads as a time every day or once a week', () => {
  const numbers = ['*', '-1', '00', '07', ...Array.from({ length: 70 }, (_, i) => String(i))]
  const texts = numbers.flatMap((one) => [`${one} 3 * * *`, `0 ${one} * * *`, `0 3 * * ${one}`])
  const read = texts.filter((text) => typeof parseCron(text) !== 'string')
  const plain = texts.filter(isPlainCron)
  expect(read).toEqual(expect.arrayContaining(plain))
  // 60 minutes and 24 hours, one of them `0 3`; every day and eight names of days
  expect(new Set(plain).size).toBe(60 + 23 + 8)
})

test.each([
  '@daily',
  '*/5 * * * *',
  '0 3 1 * *',
  '0 3 * 1 *',
  ' 0 3 * * *',
  '0 3 * *',
  '0 3 * * * *',
  '0 24 * * *',
])('“%s” is for node-cron', (text) => {
  expect(isPlainCron(text)).toBe(false)
})
