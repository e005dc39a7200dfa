import { describeEndpoint, type Endpoint } from '../config/endpoint.ts'
import { AppError } from '../errors.ts'

/** A host of a URL that was looked at, as the server there says of itself; `system` is undefined where it may not be asked. */
export type Seen = { endpoint: Endpoint; standby: boolean; system: string | undefined }

/** A host that gave no session, and why. */
export type Silent = { endpoint: Endpoint; problem: string }

/**
 * The primary beside a standby, where nothing says which host is meant: the only one that can be written to, if it is of the same cluster.
 *
 * @throws {AppError} `unreachable`: worth waiting for while there is none; with the reason `unclear-primary` otherwise
 */
export function choosePrimary(standby: Seen, others: Seen[], silent: Silent[]): Seen {
  const name = ({ endpoint }: { endpoint: Endpoint }) => describeEndpoint(endpoint)
  const [primary, ...more] = others.filter((other) => !other.standby)
  if (!primary) {
    const rest = [
      ...others.map((other) => `${name(other)} is one too`),
      ...silent.map((other) => `${name(other)}: ${other.problem}`),
    ]
    throw new AppError('unreachable', `${name(standby)} is a standby, and there is no primary: ${rest.join('; ')}`, {
      hint: 'start the primary, or name it in the URL',
    })
  }
  if (more.length > 0)
    throw unclear(
      `${name(standby)} is a standby, and more than one other host can be written to: ${[primary, ...more].map(name).join(', ')}`,
      'only one of them can be the primary: stop what is none, or name the right one alone in the URL',
    )
  const both = `${name(standby)} is a standby, and ${name(primary)}, which can be written to,`
  if (standby.system === undefined || primary.system === undefined) {
    const mute = standby.system === undefined ? standby : primary
    throw unclear(
      `${both} may be of another cluster: pg_catalog.pg_control_system() may not be executed at ${name(mute)}`,
      'grant execute on function pg_catalog.pg_control_system() to the user, or name the primary alone in the URL',
    )
  }
  if (standby.system !== primary.system)
    throw unclear(
      `${both} is of another cluster: the system identifiers are ${standby.system} and ${primary.system}`,
      'the hosts of one URL must be of one cluster: take the wrong one out',
    )
  return primary
}

const unclear = (message: string, hint: string) =>
  new AppError('unreachable', message, { reason: 'unclear-primary', hint })
