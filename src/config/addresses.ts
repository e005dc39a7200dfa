// pure
import { isIP } from 'node:net'
import { usage } from '../errors.ts'
import type { Endpoint } from './connection.ts'

/**
 * Hosts with the addresses that libpq's `hostaddr` has for them, in the same order; an empty one is looked up by its name.
 * @throws {AppError} `usage`
 */
export function withAddresses(endpoints: Endpoint[], hostaddr: string, source: string): Endpoint[] {
  const addresses = hostaddr.split(',')
  if (addresses.length !== endpoints.length)
    throw usage(`hostaddr in ${source} has not as many addresses as there are hosts`, {
      hint: 'leave one empty for a host that is to be looked up by its name',
    })
  return endpoints.map((endpoint, i) => {
    const address = addresses[i]!
    if (address === '') return endpoint
    if (isIP(address) === 0) throw usage(`hostaddr in ${source} is not an address`, { hint: 'put a name into `host`' })
    if (endpoint.host.startsWith('/'))
      throw usage(`hostaddr in ${source} stands beside the folder of a socket`, { hint: 'take one of the two out' })
    return { ...endpoint, address }
  })
}
