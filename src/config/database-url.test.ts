import { expect, test } from 'vitest'
import type { Connection } from './connection.ts'
import { databaseUrl } from './database-url.ts'
import { parseDatabaseUrl } from './url.ts'

/** The connection that a URL means, as far as it matters here. */
const connectionOf = (url: string, tls: Connection['tls'] = { mode: 'prefer' }): Connection => {
  const { endpoints, database = '', user = '', password, foreign } = parseDatabaseUrl(url, 'DATABASE_URL')
  return {
    source: 'DATABASE_URL',
    endpoints,
    database,
    user,
    password: () => password,
    tls,
    target: 'any',
    ignored: [],
    foreign,
  }
}

test.each([
  ['postgres://u:p@h/d', 'postgresql://u:p@h:5432/d'],
  ['postgres://u@h/d', 'postgresql://u@h:5432/d'],
  ['postgres://u:p@[::1]:5433/d', 'postgresql://u:p@[::1]:5433/d'],
  ['postgres://u:p@a,b:5433/d', 'postgresql://u:p@a:5432,b:5433/d'],
  ['postgres:///d?host=/run/pg&user=u&port=5433', 'postgresql://u@/d?host=%2Frun%2Fpg&port=5433'],
  ['postgresql+asyncpg://u:p@h/d', 'postgresql+asyncpg://u:p@h:5432/d'],
  ['postgres://u:a$b=c!;,&d@h/d', 'postgresql://u:a$b=c!;,&d@h:5432/d'],
  ['postgres://u:%40%2F%3A%23%25+%20@h/d', 'postgresql://u:%40%2F%3A%23%25%2B%20@h:5432/d'],
  ['postgres://u:%F0%9F%94%91@h/%C3%A9t%C3%A9', 'postgresql://u:%F0%9F%94%91@h:5432/%C3%A9t%C3%A9'],
  [
    'postgres://u:p@h/d?sslmode=prefer&schema=app&connect_timeout=3',
    'postgresql://u:p@h:5432/d?schema=app&connect_timeout=3',
  ],
  ['postgres://u:p@h/d?schema=a+b%2Bc', 'postgresql://u:p@h:5432/d?schema=a%20b%2Bc'],
])('makes of %s the URL %s', (url, expected) => {
  const made = databaseUrl(connectionOf(url))
  expect(made).toBe(expected)
  const { password, endpoints, database, user } = parseDatabaseUrl(made, 'made')
  expect({ password, endpoints, database, user }).toEqual(
    (({ password, endpoints, database, user }) => ({ password, endpoints, database, user }))(
      parseDatabaseUrl(url, 'given'),
    ),
  )
})

test('an address is for libpq alone', () => {
  const connection = connectionOf('postgres://u@a,b/d?hostaddr=10.0.0.1,')
  expect(databaseUrl(connection)).toBe('postgresql://u@a:5432,b:5432/d?hostaddr=10.0.0.1%2C')
  expect(databaseUrl(connection, { driver: 'asyncpg' })).toBe('postgresql+asyncpg://u@a:5432,b:5432/d')
})

test.each([
  [undefined, 'postgresql://u@h:5432/d?sslmode=verify-full&sslrootcert=%2Ft%2Fca'],
  ['psycopg2', 'postgresql+psycopg2://u@h:5432/d?sslmode=verify-full&sslrootcert=%2Ft%2Fca'],
  ['asyncpg', 'postgresql+asyncpg://u@h:5432/d'],
])('gives the parameters of TLS to libpq alone: driver %s', (driver, expected) => {
  const connection = connectionOf('postgres://u@h/d', { mode: 'verify-full' })
  expect(databaseUrl(connection, { driver, files: { sslrootcert: '/t/ca' } })).toBe(expected)
})
