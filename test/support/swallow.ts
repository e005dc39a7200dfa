import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { server } from './postgres.ts'

/** A way to the run's server that can be made to acknowledge everything and forward nothing, as a mesh proxy or a frozen server does. */
export type Swallower = {
  url(database: string): string
  /** From now on nothing comes through; not even that a connection was closed. */
  swallow(): void
  /** What was held back comes through again. */
  release(): void
  /** From now on nothing is read from the client of one connection, which the server knows by this port. */
  stopReading(clientPort: number): void
  close(): void
}

export async function startSwallower(): Promise<Swallower> {
  const sockets = new Set<Socket>()
  const clients = new Map<Socket, Socket>()
  let held: (() => void)[] | undefined
  const pass = (work: () => void) => (held ? void held.push(work) : work())
  const listening = createServer((client) => {
    const upstream = connect(server().port, '127.0.0.1')
    clients.set(upstream, client)
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from)
      from.on('error', () => {})
      from.on('data', (chunk) => pass(() => to.write(chunk)))
      from.on('close', () => pass(() => to.destroy()))
    }
  }).listen(0, '127.0.0.1')
  await once(listening, 'listening')
  const { port } = listening.address() as AddressInfo
  return {
    url: (database) =>
      `postgres://postgres:${encodeURIComponent(server().password)}@127.0.0.1:${port}/${database}?sslmode=disable`,
    swallow() {
      held = []
    },
    release() {
      const works = held ?? []
      held = undefined
      for (const work of works) work()
    },
    stopReading(clientPort) {
      for (const [upstream, client] of clients) if (upstream.localPort === clientPort) client.pause()
    },
    close() {
      listening.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
