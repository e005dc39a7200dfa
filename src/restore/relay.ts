import { createServer, type Socket } from 'node:net'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Connection } from '../config/connection.ts'
import { openSocket } from '../postgres/socket.ts'
import { afterStartup, type Relayed, withoutBinding, withoutSettings } from './relayed.ts'

/**
 * Gives a client program a connection on which it may set parameters that the server does not know: they are left out. Everything else
 * goes on to the server and back as it is, over as many connections as the program opens. Between it and us there is no TLS, on the
 * loopback; from here to the server it is as the connection says.
 */
export async function withRelay<T>(
  connection: Connection,
  unknown: readonly string[],
  use: (connection: Connection) => Promise<T>,
): Promise<T> {
  if (unknown.length === 0) return use(connection)
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, (client) => void relay(client, connection, unknown, sockets))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve)
  })
  try {
    const { port } = server.address() as { port: number }
    return await use({ ...connection, endpoints: [{ host: '127.0.0.1', port }], tls: { mode: 'disable' } })
  } finally {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
}

/** Ends when either side does. A server that cannot be reached ends the client's connection, which says so. */
async function relay(
  client: Socket,
  { endpoints, tls }: Connection,
  unknown: readonly string[],
  sockets: Set<Socket>,
): Promise<void> {
  const track = (socket: Socket) =>
    sockets.add(socket.once('close', () => sockets.delete(socket)).on('error', () => {}))
  track(client)
  try {
    const server = await openSocket(endpoints[0]!, tls)
    track(server)
    await Promise.allSettled([
      pipeline(client, through(afterStartup(withoutSettings(unknown))), server),
      pipeline(server, through(withoutBinding()), client),
    ])
  } catch {
    client.destroy()
  }
}

const through = (relayed: Relayed) =>
  new Transform({
    transform(chunk: Buffer, _encoding, done) {
      for (const part of relayed(chunk)) this.push(part)
      done()
    },
  })
