import { rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Connection } from '../config/connection.ts'
import { AppError } from '../errors.ts'
import { writeTemporary } from '../machine/temporary.ts'
import { openSocket } from '../postgres/socket.ts'
import { afterStartup, type Relayed, withoutBinding, withoutSettings } from './relayed.ts'

/**
 * Gives a client program a connection on which it may set parameters that the server does not know: they are left out. Everything else
 * goes on to the server and back as it is, over as many connections as the program opens. It is a Unix socket in a folder that nobody
 * else may enter: the server may trust this process by its account or address. From here to the server, TLS is as the connection says.
 *
 * @throws {AppError} `restore` if there can be no such socket
 */
export async function withRelay<T>(
  connection: Connection,
  unknown: readonly string[],
  use: (connection: Connection) => Promise<T>,
): Promise<T> {
  if (unknown.length === 0) return use(connection)
  const sockets = new Set<Socket>()
  const server = createServer((client) => void relay(client, connection, unknown, sockets))
  const { paths, remove } = writeTemporary({ [socketName]: '' }, { what: 'a socket for pg_restore', kind: 'restore' })
  const host = dirname(paths[socketName]!)
  try {
    await listening(server, paths[socketName]!)
    return await use({ ...connection, endpoints: [{ host, port }], tls: { mode: 'disable' } })
  } finally {
    for (const socket of sockets) socket.destroy()
    if (server.listening) await new Promise((resolve) => server.close(resolve))
    remove()
  }
}

const port = 5432
/** Where libpq looks for it. */
const socketName = `.s.PGSQL.${port}`

function listening(server: Server, path: string): Promise<void> {
  rmSync(path)
  return new Promise((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new AppError('restore', `a socket for pg_restore cannot be made in ${dirname(path)}: ${cause.message}`, {
          hint: 'set TMPDIR to a folder with a short path; or install the client programs of the major version of the server',
          cause,
        }),
      ),
    )
    server.listen(path, resolve)
  })
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
