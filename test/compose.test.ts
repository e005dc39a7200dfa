import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { configSchema } from '../src/config/schema.ts'

const read = (...path: string[]) =>
  parse(readFileSync(join(import.meta.dirname, '..', ...path), 'utf8'), { merge: true })

test('compose.yaml publishes to 127.0.0.1 alone what its configuration opens to everybody', () => {
  const { serve } = configSchema.parse(read('examples', 'compose', 'pgbosun.yaml'))
  const services = Object.values(read('compose.yaml').services as Record<string, { ports?: string[] }>)
  expect(serve.access).toBe('open')
  expect(services.flatMap(({ ports = [] }) => ports)).toEqual([expect.stringMatching(/^127\.0\.0\.1:.*:8080$/)])
  expect(serve.listen).toBe('[::]:8080')
})
