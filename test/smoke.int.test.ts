import { expect } from 'vitest'
import { test } from './support/postgres.ts'

test('a', async ({ sql }) => {
  expect(await sql`select 1 as x`).toEqual([{ x: 1 }])
})
