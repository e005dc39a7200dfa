// pure
import { isIP } from 'node:net'
import { usage } from '../errors.ts'
import type { Endpoint } from './endpoint.ts'

/**
 * Hosts with the addresses that libpq's `hostaddr` gives them, in the same order. A host with an empty address is resolved by name.
 * @throws {AppError} `usage`
 */
export function withAddresses(endpoints: Endpoint[], hostaddr: string, source: string): Endpoint[] {
  const addresses = hostaddr.split(',')
  if (addresses.length !== endpoints.length)
    throw usage(`the number of addresses in hostaddr in ${source} is not the number of hosts`, {
      hint: 'leave an address empty for a host that is to be resolved by name',
    })
  return endpoints.map((endpoint, i) => {
    const address = addresses[i]!
    if (address === '') return endpoint
    if (isIP(address) === 0) throw usage(`hostaddr in ${source} is not an address`, { hint: 'put names into `host`' })
    if (endpoint.host.startsWith('/'))
      throw usage(`hostaddr in ${source} cannot be combined with the folder of a socket`, {
        hint: 'remove one of the two',
      })
    return { ...endpoint, address }
  })
}
