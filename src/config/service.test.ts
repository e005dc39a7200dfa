import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { urlParameters } from './parameters.ts'
import { remarks, resolveConnection, variablesBeside } from './resolve.ts'
import { configSchema } from './schema.ts'
import { parseService } from './service.ts'

const parse = (text: string) => parseService(text, 'shop', '/f')

describe('a service is read as libpq reads it', () => {
  test.each([
    ['[shop]\nhost=h\nport=1', { host: 'h', port: '1' }],
    ['# x\r\n[shop]\r\n\r\n  host=h  \r\n # y\r\n', { host: 'h' }],
    ['[other]\nhost=o\n[shop]\nhost=h\n[next]\nuser=n\n[shop]\ndbname=d', { host: 'h' }],
    ['[shop]\nhost=first\nhost=second', { host: 'first' }],
    ['[shop]\npassword=a=b # c', { password: 'a=b # c' }],
    ['[shop]\nhost=', { host: '' }],
    ['[shop]', {}],
  ])('%j', (text, parameters) => {
    expect(parse(text).parameters).toEqual(parameters)
  })

  test('what only tunes the client is told', () => {
    expect(parse('[shop]\nkeepalives=1\nconnect_timeout=3\nsslsni=1').ignored).toEqual(['keepalives of the service'])
  })

  test.each([
    ['[shops]\nhost=h', 'does not contain that service'],
    ['[shop]\nservice=other', 'line 2 of the service file /f names another service'],
    ['[shop]\nservicefile=/x', 'names another service'],
    ['[shop]\n\nTopSecret', 'line 3 of the service file /f cannot be read'],
    ['[shop]\nTopSecret=x', 'has an unknown key'],
    ['[shop]\nhost =TopSecret', 'has an unknown key'],
    ['[shop]\nldap://TopSecret/x?y=z', 'cannot be read'],
    ['[shop]\nport=TopSecret', 'the port is not a number'],
  ])('%j is refused', (text, message) => {
    expect(() => parse(text)).toThrow(
      expect.objectContaining({ kind: 'usage', message: expect.stringContaining(message) }),
    )
    expect(() => parse(text)).toThrow(expect.objectContaining({ message: expect.not.stringContaining('TopSecret') }))
  })

  const refused = Object.entries(urlParameters).filter(([, { verdict }]) => verdict === 'refused')
  test.each(refused)('%s in it is refused as in a URL', (name, { note }) => {
    expect(() => parse(`[shop]\n${name}=x`)).toThrow(expect.objectContaining({ kind: 'usage', hint: note }))
  })
})

describe('a connection that names a service', () => {
  const dir = mkdtempSync(join(tmpdir(), 'pgbosun-service-'))
  afterAll(() => rmSync(dir, { recursive: true, force: true }))
  const connect = (env: Record<string, string>) => resolveConnection(configSchema.parse({}), env, dir)
  const file = join(dir, 'services')
  const write = (text: string) => writeFileSync(file, text)
  const all = '[shop]\nhost=/run/pg\nport=6000\ndbname=d\nuser=u\npassword=p\nsslmode=require\noptions=-csearch_path=s'
  const fromService = {
    endpoints: [{ host: '/run/pg', port: 6000 }],
    database: 'd',
    user: 'u',
    tls: { mode: 'require' },
    searchPath: 's',
  }

  test('a URL that is only a service takes everything from it', () => {
    write(all)
    for (const env of [
      { DATABASE_URL: 'postgres://?service=shop&servicefile=services' },
      { DATABASE_URL: 'postgres:///?service=shop', PGSERVICEFILE: file },
      { PGSERVICE: 'shop', PGSERVICEFILE: file },
    ] as Record<string, string>[]) {
      const connection = connect(env)
      expect(connection).toMatchObject(fromService)
      expect(connection.password()).toBe('p')
      expect([remarks(connection), variablesBeside(env, connection)]).toEqual([[], []])
    }
  })

  test('the URL goes before it, part by part', () => {
    write(all)
    const url = (rest: string) => connect({ DATABASE_URL: `postgres://${rest}`, PGSERVICEFILE: file })
    expect(url('h/?service=shop')).toMatchObject({ ...fromService, endpoints: [{ host: 'h', port: 6000 }] })
    expect(url(':1/?service=shop')).toMatchObject({ ...fromService, endpoints: [{ host: '/run/pg', port: 1 }] })
    expect(url('[::1]:1/?service=shop').endpoints).toEqual([{ host: '::1', port: 1 }])
    expect(url('/e?service=shop&sslmode=disable')).toMatchObject({ database: 'e', tls: { mode: 'disable' }, user: 'u' })
    expect(url('/e?service=shop&ssl=false&search_path=t')).toMatchObject({ tls: { mode: 'disable' }, searchPath: 't' })
    expect(url('me@/?service=shop').user).toBe('me')
    expect(url('me:own@/?service=shop').password()).toBe('own')
    expect(url('/?service=shop&host=x&port=2&user=y&password=z').password()).toBe('z')
    expect(url('/?service=shop&socket=/s').endpoints).toEqual([{ host: '/s', port: 6000 }])
  })

  test('it goes before other PG*, which say the rest', () => {
    write('[shop]\nhost=h\npassword=p')
    const env = { PGSERVICE: 'shop', PGSERVICEFILE: file, PGHOST: 'other', PGPORT: '7', PGUSER: 'me', PGPASSWORD: 'no' }
    const connection = connect(env)
    expect(connection).toMatchObject({ endpoints: [{ host: 'h', port: 7 }], user: 'me' })
    expect(connection.password()).toBe('p')
  })

  test('a password file that it names gives the password; its own password is read again', () => {
    writeFileSync(join(dir, 'pass'), 'h:*:*:u:filed', { mode: 0o600 })
    write('[shop]\nhost=h\nuser=u\npassfile=pass')
    const { password } = connect({ PGSERVICE: 'shop', PGSERVICEFILE: file })
    expect(password()).toBe('filed')
    write('[shop]\nhost=h\nuser=u\npassword=later')
    expect(password()).toBe('later')
  })

  test('without a file of its own is exit 2: nobody looks at ~/.pg_service.conf', () => {
    const hint = "set PGSERVICEFILE: ~/.pg_service.conf and the system's file are not read"
    for (const env of [{ DATABASE_URL: 'postgres://?service=shop' }, { PGSERVICE: 'shop' }])
      expect(() => connect(env as Record<string, string>)).toThrow(expect.objectContaining({ kind: 'usage', hint }))
    expect(() => connect({ PGSERVICE: 'shop', PGSERVICEFILE: '/nowhere/f' })).toThrow(
      'the service file /nowhere/f does not exist',
    )
  })
})
