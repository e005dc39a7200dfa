// pure
/**
 * A `host` that begins with `/` is the folder of a Unix socket. `address`: where to connect, if it is given; `host` is then only
 * compared with the certificate.
 */
export type Endpoint = { host: string; port: number; address?: string }

/** `host:port`, or the folder of a socket with the port, for messages. */
export const describeEndpoint = ({ host, port }: Endpoint) => `${host.includes(':') ? `[${host}]` : host}:${port}`
