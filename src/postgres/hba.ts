import { BlockList, isIP } from 'node:net'
import { quoteLiteral } from '../sql/quote.ts'
import type { Db } from './db.ts'

/** A line of pg_hba.conf, as pg_hba_file_rules shows it. */
export type HbaRule = {
  type: string
  database: string[]
  user: string[]
  /** An address, a host name, `all`, `samehost`, `samenet`; null for sockets. */
  address: string | null
  netmask: string | null
  method: string
}

/** Who would log in. `address` null: through a socket. `groups`: every role that the login would be a member of. */
export type HbaLogin = { user: string; groups: string[]; database: string; address: string | null; ssl: boolean }

/** Methods with which a login that has a password, and nothing else, gets in. */
const withPassword = new Set(['trust', 'scram-sha-256', 'md5', 'password'])

/**
 * The method that the first matching line asks for, where a password is not what it wants; `none` when no line matches. Undefined when a
 * password will do, or a line could not be judged (host names, regular expressions, the server's own networks).
 */
export function refusingMethod(rules: readonly HbaRule[], login: HbaLogin): string | undefined {
  for (const rule of rules) {
    const parts = [
      matchesType(rule, login),
      matchesDatabase(rule, login),
      matchesUser(rule, login),
      matchesAddress(rule, login),
    ]
    if (parts.includes(false)) continue
    if (parts.includes(undefined)) return undefined
    return withPassword.has(rule.method) ? undefined : rule.method
  }
  return 'none'
}

function matchesType({ type }: HbaRule, { address, ssl }: HbaLogin): boolean {
  if (type === 'local') return address === null
  return (
    address !== null &&
    (type === 'host' || type === 'hostnogssenc' || (type === 'hostssl' && ssl) || (type === 'hostnossl' && !ssl))
  )
}

/** The first name that decides; a regular expression is not judged. */
const anyOf = (names: string[], matches: (name: string) => boolean) =>
  names.some(matches) ? true : names.some((name) => name.startsWith('/')) ? undefined : false

const matchesDatabase = ({ database: names }: HbaRule, { database, user, groups }: HbaLogin) =>
  anyOf(
    names,
    (name) =>
      name === 'all' ||
      name === database ||
      (name === 'sameuser' && user === database) ||
      (['samerole', 'samegroup'].includes(name) && groups.includes(database)),
  )

const matchesUser = ({ user: names }: HbaRule, { user, groups }: HbaLogin) =>
  anyOf(names, (name) => name === 'all' || name === user || (name.startsWith('+') && groups.includes(name.slice(1))))

function matchesAddress({ address: ruled, netmask }: HbaRule, { address }: HbaLogin): boolean | undefined {
  if (ruled === null || ruled === 'all') return true
  if (address === null) return false
  const family = isIP(ruled)
  if (family === 0 || netmask === null) return undefined
  if (family !== isIP(address)) return false
  const kind = family === 6 ? 'ipv6' : 'ipv4'
  const list = new BlockList()
  list.addSubnet(ruled, prefixOf(netmask), kind)
  return list.check(address, kind)
}

/** Length of a netmask: 24 of `255.255.255.0`, 64 of `ffff:ffff:ffff:ffff::`. */
function prefixOf(netmask: string): number {
  const parts = netmask.includes(':')
    ? netmask.split(':').map((part) => Number.parseInt(part || '0', 16))
    : netmask.split('.').map(Number)
  return parts.reduce((bits, part) => bits + part.toString(2).replaceAll('0', '').length, 0)
}

/**
 * Why pg_hba.conf would not let in a login that is a member of a role and has a password, connecting as this session does; undefined
 * when it would, or cannot be known. Asked as a superuser: nobody else sees the file, which may differ from what the server has loaded.
 */
export async function readRefusal(db: Db, role: string, user: string): Promise<string | undefined> {
  const [row] = await db.unsafe<{ seen: { rules: HbaRule[]; login: Omit<HbaLogin, 'user'> } }[]>(`
    select pg_catalog.json_build_object(
      'rules', (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('type', type, 'database', database, 'user', user_name,
                  'address', address, 'netmask', netmask, 'method', auth_method) order by line_number), '[]'::json)
                  from pg_catalog.pg_hba_file_rules where error is null),
      'login', pg_catalog.json_build_object(
        'database', pg_catalog.current_database(), 'address', pg_catalog.host(pg_catalog.inet_client_addr()),
        'ssl', coalesce((select ssl from pg_catalog.pg_stat_ssl where pid = pg_catalog.pg_backend_pid()), false),
        'groups', (select pg_catalog.json_agg(g.rolname) from pg_catalog.pg_roles g, pg_catalog.pg_roles o
                    where o.rolname = ${quoteLiteral(role)} and pg_catalog.pg_has_role(o.oid, g.oid, 'MEMBER')))) as seen`)
  return row && refusingMethod(row.seen.rules, { ...row.seen.login, user })
}
