import { expect, test } from 'vitest'
import { parseDatabaseUrl } from './url.ts'

const escapes =
  'escape special characters in the user name and the password: write @ as %40, : as %3A, / as %2F, # as %23, ? as %3F'

const parse = (url: string) => parseDatabaseUrl(url, 'DATABASE_URL')

test.each([
  ['postgres://u:p@h:5433/d', { endpoints: [{ host: 'h', port: 5433 }], user: 'u', password: 'p', database: 'd' }],
  ['postgresql+asyncpg://u:p%40ss%2F@h/d', { user: 'u', password: 'p@ss/', database: 'd' }],
  [
    'postgresql+psycopg2://h',
    { endpoints: [{ host: 'h', port: 5432 }], user: undefined, password: undefined, database: undefined },
  ],
  ['postgres://h:1/d?port=2', { endpoints: [{ host: 'h', port: 2 }] }],
  [
    'postgres://a:1,b/d?port=2',
    {
      endpoints: [
        { host: 'a', port: 2 },
        { host: 'b', port: 2 },
      ],
    },
  ],
  ['postgres://u:a:b@[::1]:6000/d', { endpoints: [{ host: '::1', port: 6000 }], password: 'a:b' }],
  [
    'postgres://a,b:5433/d?target_session_attrs=primary',
    {
      endpoints: [
        { host: 'a', port: 5432 },
        { host: 'b', port: 5433 },
      ],
      parameters: { target_session_attrs: 'primary' },
    },
  ],
  [
    'postgres:///d?host=/var/run/postgresql',
    { endpoints: [{ host: '/var/run/postgresql', port: 5432 }], database: 'd' },
  ],
  ['postgres://%2Fvar%2Frun%2Fpostgresql/d', { endpoints: [{ host: '/var/run/postgresql', port: 5432 }] }],
  ['postgres://h/d?schema=public&sslmode=require', { ignored: ['schema'], parameters: { sslmode: 'require' } }],
])('takes %s apart', (url, expected) => {
  expect(parse(url)).toMatchObject(expected)
})

test.each([
  ['mysql://u:geheim@h/d', 'it must begin with postgres:// or postgresql://'],
  ['postgres://u:geheim#x@h/d', escapes],
  ['postgres://u:geheim@h:tcp:1/d', escapes],
  ['postgres://u:geheim/rest@h/d', escapes],
  ['postgres://u:x?geheim@h/d', escapes],
  ['postgres://u:p@geheim@h/d', escapes],
  ['postgres://u:geheim/d', escapes],
  ['postgres://u:geheim/d?port=1', escapes],
  ['postgres://h/d?host=u:geheim', escapes],
  ['postgres://u:%geheim@h/d', 'write % as %25 in the URL'],
])('refuses %s without showing the password', (url, hint) => {
  expect(() => parse(url)).toThrow(
    expect.objectContaining({
      kind: 'usage',
      hint: expect.stringContaining(hint),
      message: expect.not.stringContaining('geheim'),
    }),
  )
})

test.for([
  ['postgres://h/d?host=a&host=b', 'host'],
  ['postgres://h/d?search_path=app&search_path=other', 'search_path'],
  ['postgres://h/d?password=TopSecret&password=Other', '(not shown)'],
])('a parameter that is there twice, with different values, is refused: %s', ([url, name]) => {
  expect(() => parseDatabaseUrl(url!, 'DATABASE_URL')).toThrow(`DATABASE_URL contains ${name} twice`)
  expect(parseDatabaseUrl('postgres://h/d?sslmode=require&sslmode=require', 'DATABASE_URL').parameters.sslmode).toBe(
    'require',
  )
})
