import { describe, expect, test } from 'vitest'
import { type HbaLogin, type HbaRule, refusingMethod } from './hba.ts'

const rule = (text: string): HbaRule => {
  const [type = '', database = '', user = '', ...rest] = text.split(' ')
  const [address = null, netmask = null] = rest.slice(0, -1)
  return { type, database: database.split(','), user: user.split(','), address, netmask, method: rest.at(-1)! }
}
const login: HbaLogin = { user: 'pgbosun_x', groups: ['shop_owner'], database: 'shop', address: '10.1.2.3', ssl: true }

describe('pg_hba.conf', () => {
  test.each<[what: string, rules: string[], login: Partial<HbaLogin>, refused: string | undefined]>([
    ['a password for everybody', ['host all all all scram-sha-256'], {}, undefined],
    ['peer for everybody at the socket', ['local all all peer'], { address: null }, 'peer'],
    ['peer for another user first', ['local all postgres peer', 'local all all md5'], { address: null }, undefined],
    ['a socket line does not count over TCP', ['local all all trust'], {}, 'none'],
    ['certificates only', ['hostssl all all 0.0.0.0 0.0.0.0 cert'], {}, 'cert'],
    [
      'certificates for TLS, passwords without',
      ['hostssl all all all cert', 'hostnossl all all all md5'],
      { ssl: false },
      undefined,
    ],
    ['the network of the client', ['host all all 10.1.0.0 255.255.0.0 trust'], {}, undefined],
    ['another network', ['host all all 10.2.0.0 255.255.0.0 trust'], {}, 'none'],
    ['IPv6', ['host all all fd00:: ffff:: scram-sha-256'], { address: 'fd00::5' }, undefined],
    [
      'IPv6 that does not fit',
      ['host all all fd00:: ffff:ffff:: ldap', 'host all all ::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff trust'],
      { address: 'fd00:0:1::5' },
      'ldap',
    ],
    ['members of a group', ['host shop +shop_owner all ldap'], {}, 'ldap'],
    ['another group', ['host shop +crm_owner all ldap', 'host all all all reject'], {}, 'reject'],
    ['the role of the database', ['host samerole all all md5'], { database: 'shop_owner' }, undefined],
    ['a host name cannot be judged', ['host all all db.example.com reject'], {}, undefined],
    ['a regular expression cannot be judged', ['host all /^pgbosun all reject'], {}, undefined],
  ])('%s', (_, rules, other, refused) => {
    expect(refusingMethod(rules.map(rule), { ...login, ...other })).toBe(refused)
  })
})
