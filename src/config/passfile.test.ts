import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { passwordIn } from './passfile.ts'
import { resolveConnection } from './resolve.ts'
import { configSchema } from './schema.ts'

const endpoint = { host: 'h', port: 5432 }

describe('the first line that fits gives the password', () => {
  test.each([
    ['h:5432:d:u:secret', 'secret'],
    ['*:*:*:*:secret', 'secret'],
    ['# h:5432:d:u:no\nx:5432:d:u:no\nh:5432:d:u:first\n*:*:*:*:second', 'first'],
    ['h:5432:d:u:a\\:b\\\\c', 'a:b\\c'],
    ['h:5432:d:u:a:b', 'a'],
    ['h:5432:d:u:a\\', 'a\\'],
    ['h:5432:d:u: # \r\n', ' # '],
    ['\\h:5432:d:u:secret', 'secret'],
    ['h:5432:d:u:\n*:*:*:*:second', undefined],
    ['h:5433:d:u:no', undefined],
    ['H:5432:d:u:no', undefined],
    ['h:5432:d2:u:no', undefined],
    ['h:5432:d:u2:no', undefined],
    ['h*:5432:d:u:no', undefined],
    ['\\*:5432:d:u:no', undefined],
    [' #\nh:5432:d', undefined],
    ['', undefined],
  ])('%j', (text, password) => {
    expect(passwordIn(text, endpoint, 'd', 'u')).toBe(password)
  })

  test.each([
    ['/tmp', 'localhost', 'yes'],
    ['/var/run/postgresql', 'localhost', 'yes'],
    ['/var/run/postgresql', '/var/run/postgresql', 'yes'],
    ['/run/pg', '/run/pg', 'yes'],
    ['/run/pg', 'localhost', undefined],
    ['127.0.0.1', 'localhost', undefined],
    ['::1', '\\:\\:1', 'yes'],
  ])('of the host %s written as %s: %s', (host, written, password) => {
    expect(passwordIn(`${written}:*:*:*:yes`, { host, port: 5432 }, 'd', 'u')).toBe(password)
  })

  test('names with : and \\ are written with \\', () => {
    expect(passwordIn('h:5432:a\\:b:c\\\\d:secret', endpoint, 'a:b', 'c\\d')).toBe('secret')
  })
})

describe('a password file of a connection', () => {
  const dir = mkdtempSync(join(tmpdir(), 'pgbosun-passfile-'))
  afterAll(() => rmSync(dir, { recursive: true, force: true }))
  const file = (text: string, mode = 0o600) => {
    const path = join(dir, 'pass')
    writeFileSync(path, text)
    chmodSync(path, mode)
    return path
  }
  const connect = (env: Record<string, string>) => resolveConnection(configSchema.parse({}), env, dir)

  test('is read again at every call, by its path from the folder of the configuration', () => {
    const path = file('*:*:*:u:one')
    const connections = [
      connect({ DATABASE_URL: 'postgres://u@h/d?passfile=pass' }),
      connect({ PGHOST: 'h', PGUSER: 'u', PGPASSFILE: path }),
    ]
    for (const { password, warnings } of connections) expect([password(), warnings]).toEqual(['one', []])
    file('*:*:*:u:two')
    for (const { password } of connections) expect(password()).toBe('two')
  })

  test('gives way to a password in the URL, and to PGPASSWORD', () => {
    file('*:*:*:*:file')
    expect(connect({ DATABASE_URL: 'postgres://u:own@h/d?passfile=/nowhere' }).password()).toBe('own')
    expect(connect({ DATABASE_URL: 'postgres://u@h/d?passfile=pass', PGPASSWORD: 'env' }).password()).toBe('env')
    expect(connect({ PGHOST: 'h', PGPASSFILE: 'pass', PGPASSWORD: 'env' }).password()).toBe('env')
  })

  test('says that no line fits, and that others may read it', () => {
    file('h:1:d:u:other', 0o640)
    const { password, warnings } = connect({ DATABASE_URL: 'postgres://u@h/d?passfile=pass' })
    expect(password()).toBeUndefined()
    expect(warnings).toEqual([
      `${dir}/pass can be read by users other than its owner: libpq ignores such a password file`,
      `no line of the password file ${dir}/pass is for u at h:5432, database d`,
    ])
  })

  test('is exit 2 when it cannot be read, or gives the hosts different passwords', () => {
    const of = (host: string, passfile: string) => () =>
      connect({ DATABASE_URL: `postgres://u@${host}/d?passfile=${passfile}` })
    expect(of('h', '/nowhere/pass')).toThrow('the password file /nowhere/pass does not exist')
    expect(of('h', '.')).toThrow('is a folder')
    expect(of('h', '/dev/null')).toThrow('is not a regular file')
    file('a:*:*:*:one\nb:*:*:*:two')
    expect(of('a,b', 'pass')).toThrow('different passwords')
    expect(of('a,c', 'pass')).toThrow('different passwords')
    file('a:*:*:*:one\nb:*:*:*:one')
    expect(of('a,b', 'pass')().password()).toBe('one')
  })
})
