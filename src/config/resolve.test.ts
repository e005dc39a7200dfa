import { expect, test } from 'vitest'
import { at, besides, type Connection } from './connection.ts'
import { resolveConnection } from './resolve.ts'
import type { Config } from './schema.ts'

const connectionTo = (url: string): Connection =>
  resolveConnection({ database: { tls: {} } } as Config, { DATABASE_URL: url }, '/')

test.for([
  ['', undefined],
  ['?target_session_attrs=any', 'any'],
  ['?target_session_attrs=read-write', 'primary'],
] as const)('nothing said is not the same as any: %s', ([parameters, target]) => {
  expect(connectionTo(`postgres://u@a,b/d${parameters}`).target).toBe(target)
})

test('another login goes to the host that was chosen, where its URL names it', () => {
  const [first, chosen] = connectionTo('postgres://u@a,b:5433/d').endpoints
  const here = at(connectionTo('postgres://u@a,b:5433/d'), { endpoint: chosen! })
  expect(besides(connectionTo('postgres://m@a,b:5433/d'), here)).toMatchObject({ user: 'm', endpoints: [chosen] })
  expect(besides(connectionTo('postgres://m@a,b/d'), here).endpoints).toHaveLength(2)
  expect(besides(connectionTo('postgres://m@a/d'), here).endpoints).toEqual([first])
})
