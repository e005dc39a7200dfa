import { expect, test } from 'vitest'
import type { TlsMode } from './connection.ts'
import { passwordOf } from './login-secret.ts'

const source = { awsRds: { region: 'eu-central-1' } }
const keyed = (mode: TlsMode, ...hosts: string[]) =>
  passwordOf(
    { key: 'database.password', source },
    { endpoints: hosts.map((host) => ({ host, port: 5432 })), user: 'app', mode },
    { env: {}, baseDir: '/' },
  )

test.for<[string, TlsMode, string[], string]>([
  ['in the clear', 'disable', ['db'], 'over TLS, but sslmode is disable'],
  ['perhaps in the clear', 'prefer', ['db'], 'over TLS, but sslmode is prefer'],
  ['to several hosts', 'verify-full', ['a', 'b'], 'for one host, but a:5432, b:5432 is given'],
  ['through a socket', 'require', ['/run/postgresql'], 'for one host'],
])('a token of AWS is not sent %s', ([, mode, hosts, problem]) => {
  expect(() => keyed(mode, ...hosts)).toThrow(problem)
})

test('a token of AWS is signed when a connection is opened, not before', () => {
  expect(() => keyed('verify-full', 'db').read()).toThrow('signed for each connection')
})
