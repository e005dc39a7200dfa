import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { server } from './postgres.ts'

/** ReadyForQuery: the server has answered and waits. The first one ends the login. */
const ready = Buffer.from([0x5a, 0, 0, 0, 5])

/** A way to the run's server on which connections can be cut. */
export type Proxy = {
  port: number
  /** How many connections there were. */
  count(): number
  /** URL of a database through it. */
  url(database: string): string
  close(): void
}

/**
 * @param cutAfter how many answers the n-th connection (from 1) gets; at the message after that it is cut. The login is one, the first
 *   query of a session of ours another. Undefined: never
 */
export async function startProxy(cutAfter: (n: number) => number | undefined): Promise<Proxy> {
  const sockets = new Set<Socket>()
  let connections = 0
  const listening = createServer((client) => {
    const most = cutAfter(++connections)
    const upstream = connect(server().port, '127.0.0.1')
    let answers = 0
    const end = () => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {}).on('close', end)
    }
    client.on('data', (chunk) => {
      if (most !== undefined && answers >= most) end()
      else upstream.write(chunk)
    })
    upstream.on('data', (chunk) => {
      for (let at = chunk.indexOf(ready); at >= 0; at = chunk.indexOf(ready, at + 1)) answers++
      client.write(chunk)
    })
  }).listen(0, '127.0.0.1')
  await once(listening, 'listening')
  const { port } = listening.address() as AddressInfo
  return {
    port,
    count: () => connections,
    url: (database) =>
      `postgres://postgres:${encodeURIComponent(server().password)}@127.0.0.1:${port}/${database}?sslmode=disable`,
    close() {
      listening.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
