import { describeEndpoint, type Endpoint } from '../config/endpoint.ts'
import { AppError } from '../errors.ts'

/** A host of a URL, as the server there describes itself. `system` is undefined if the user may not read it. */
export type SeenHost = { endpoint: Endpoint; standby: boolean; system: string | undefined }

/** A host that no session could be opened at, and why. */
export type Silent = { endpoint: Endpoint; problem: string }

/**
 * The primary of a standby, if nothing says which host is meant: the only host that accepts writes, if it belongs to the same cluster.
 *
 * @throws {AppError} `unreachable`, without a reason if there is no primary yet and waiting may help; otherwise with the reason
 *   `unclear-primary`
 */
export function choosePrimary(standby: SeenHost, others: SeenHost[], silent: Silent[]): SeenHost {
  const name = ({ endpoint }: { endpoint: Endpoint }) => describeEndpoint(endpoint)
  const [primary, ...more] = others.filter((other) => !other.standby)
  if (!primary) {
    const rest = [
      ...others.map((other) => `${name(other)} is a standby too`),
      ...silent.map((other) => `${name(other)}: ${other.problem}`),
    ]
    throw new AppError('unreachable', `${name(standby)} is a standby, and there is no primary: ${rest.join('; ')}`, {
      hint: 'start the primary, or name it in the URL',
    })
  }
  if (more.length > 0)
    throw unclear(
      `${name(standby)} is a standby, and more than one other host accepts writes: ${[primary, ...more].map(name).join(', ')}`,
      'only one of them can be the primary: stop the others, or name only the right one in the URL',
    )
  const both = `${name(standby)} is a standby, and ${name(primary)}, which accepts writes,`
  if (standby.system === undefined || primary.system === undefined) {
    const mute = standby.system === undefined ? standby : primary
    throw unclear(
      `${both} may belong to another cluster: the user may not call pg_catalog.pg_control_system() at ${name(mute)}`,
      'grant execute on function pg_catalog.pg_control_system() to the user, or name only the primary in the URL',
    )
  }
  if (standby.system !== primary.system)
    throw unclear(
      `${both} belongs to another cluster: the system identifiers are ${standby.system} and ${primary.system}`,
      'the hosts of one URL must belong to one cluster: remove the wrong one',
    )
  return primary
}

const unclear = (message: string, hint: string) =>
  new AppError('unreachable', message, { reason: 'unclear-primary', hint })
