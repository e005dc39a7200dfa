import { describe, expect, test } from 'vitest'
import { jsonSchema } from './reference.ts'
import { urlSource } from './url-source.ts'

const accepts = (url: unknown) => urlSource.safeParse(url, { jitless: true }).success

/** The pattern that editors get. */
const pattern = (() => {
  const { properties } = jsonSchema() as {
    properties: { database: { properties: { url: { anyOf: { pattern?: string }[] } } } }
  }
  return new RegExp(properties.database.properties.url.anyOf.find((option) => option.pattern)?.pattern ?? '$^')
})()

describe('a URL may stand in the file as text', () => {
  test.each([
    'postgres://localhost/shop',
    'postgresql://db:5433/shop',
    'postgres://app@db/shop',
    'postgresql+asyncpg://app@db/shop',
    'postgres://app@a,b:5433/shop?target_session_attrs=primary',
    'postgres:///shop?host=/var/run/postgresql',
    'postgres://[::1]:5433/shop',
    'postgres://db/shop?sslmode=verify-full&sslrootcert=/run/secrets/ca&sslkey=/run/secrets/key',
    'postgres://db/shop?passfile=/run/secrets/pgpass',
    'postgres://db/shop?options=-c%20search_path%3Dapp',
    'postgres://db/passwords',
    'postgres://',
  ])('%s', (url) => {
    expect([accepts(url), pattern.test(url)]).toEqual([true, true])
  })
})

describe('it may not with a password, or what may be one', () => {
  test.each([
    'postgres://app:geheim@db/shop',
    'postgres://app:geh%40eim@db/shop',
    'postgres://:geheim@db/shop',
    'postgres://app%3Ageheim@db/shop',
    'postgres://app:geh/eim@db/shop',
    'postgres://app:geheim',
    'postgres://app:geheim/shop',
    'postgres://db/shop?password=geheim',
    'postgres://db/shop?p%61ssword=geheim',
    'postgres://db/shop?user=app&PASSWORD=geheim',
    'postgres://db/shop?password=',
    'postgres://db/shop?sslpassword=geheim',
    'postgres://db/shop?passphrase=geheim',
    'postgres://db/shop?oauth_client_secret=geheim',
    'postgres://db/shop?scram_client_key=geheim',
    'postgres://db/shop?access_token=geheim',
    'postgres://db/shop?options=-c%20app.password%3Dgeheim',
    'postgres://db/shop?options[app.secret]=geheim',
    'postgres://db/shop?host=app:geheim@db',
    'postgres://app@db/shop#geheim',
    'mysql://db/shop',
    'geheim',
    '',
  ])('%s', (url) => {
    expect(accepts(url)).toBe(false)
  })
})

test('a URL with a password is also refused by the pattern, without reading it', () => {
  expect(pattern.test('postgres://app:geheim@db/shop')).toBe(false)
})

test('a secret is still a secret', () => {
  expect([{ env: 'DATABASE_URL' }, { file: 'url' }, { text: 'x' }, 5, null].map(accepts)).toEqual([
    true,
    true,
    false,
    false,
    false,
  ])
})
