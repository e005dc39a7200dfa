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

/** A login to check. `address` null: through a socket. `groups`: every role that the login would be a member of. */
export type HbaLogin = { user: string; groups: string[]; database: string; address: string | null; ssl: boolean }

/** Methods that let in a login that only has a password. */
const withPassword = new Set(['trust', 'scram-sha-256', 'md5', 'password'])

/**
 * The method of the first matching line if it does not accept a password; `none` if no line matches. Undefined if a password is
 * accepted, or if a line cannot be evaluated (host names, regular expressions, the server's own networks).
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

/** True if a name matches; undefined if none does but there is a regular expression, which is not evaluated. */
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
 * The method with which pg_hba.conf would refuse a login that is a member of a role and has a password, and connects like this session.
 * Undefined if it would let the login in, or if that cannot be told. Needs a superuser: nobody else can see the file, which may differ
 * from what the server has loaded.
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
