import { type AddressInfo, connect, createServer } from 'node:net'
import { parseArgs } from 'node:util'

/** What went through a proxy. */
export type Traffic = {
  /** For each connection, in the order they were made, how often the client waited for an answer before it sent more. */
  roundTrips: number[]
  /** How many round trips followed one another, over all connections. */
  longestChain: number
}

export type Proxy = {
  port: number
  /** What went through it since the last call. */
  taken(): Traffic
  close(): void
}

/**
 * A TCP proxy in front of a server on 127.0.0.1. It delays what clients send, so that every round trip takes that much longer for them,
 * and counts round trips. With a delay that is long beside what the client computes, the longest chain is exact; otherwise independent
 * connections may be counted as if one waited for the other.
 */
export async function startProxy(serverPort: number, delayMs: number): Promise<Proxy> {
  let traffic: Traffic = { roundTrips: [], longestChain: 0 }
  const listener = createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
    const server = connect({ host: '127.0.0.1', port: serverPort, noDelay: true, allowHalfOpen: true })
    const mine = traffic
    const nth = mine.roundTrips.push(0) - 1
    let [forwarded, answered] = [0, 0]
    // timers of one duration fire in the order they were set
    client.on('data', (chunk) => {
      const depth = mine.longestChain + 1
      setTimeout(() => {
        forwarded = depth
        server.write(chunk)
      }, delayMs)
    })
    client.on('end', () => setTimeout(() => server.end(), delayMs))
    server.on('data', (chunk) => {
      // It cannot be the answer to what is still on its way.
      if (forwarded > answered) {
        answered = forwarded
        mine.roundTrips[nth]! += 1
        mine.longestChain = Math.max(mine.longestChain, answered)
      }
      client.write(chunk)
    })
    server.on('end', () => client.end())
    client.on('error', () => server.destroy())
    server.on('error', () => client.destroy())
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  return {
    port: (listener.address() as AddressInfo).port,
    taken() {
      const seen = traffic
      traffic = { roundTrips: [], longestChain: 0 }
      return seen
    },
    close: () => void listener.close(),
  }
}

/** As a program: prints its port; for every line on stdin, prints as JSON what went through it. Arguments: the server's port, the delay in ms. */
if (import.meta.main) {
  const { positionals } = parseArgs({ allowPositionals: true })
  const [serverPort = 0, delayMs = 0] = positionals.map(Number)
  const proxy = await startProxy(serverPort, delayMs)
  console.log(proxy.port)
  process.stdin.on('data', () => console.log(JSON.stringify(proxy.taken())))
}
