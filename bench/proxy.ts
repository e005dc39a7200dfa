/**
 * A TCP proxy that delays what clients send, so that every round trip takes that much longer for them.
 * It is a separate process. Arguments: the port of the server, the delay in ms. It prints the port it listens on.
 */
import { type AddressInfo, connect, createServer } from 'node:net'

const [serverPort = 0, delayMs = 0] = process.argv.slice(2).map(Number)

const listener = createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
  const server = connect({ host: '127.0.0.1', port: serverPort, noDelay: true, allowHalfOpen: true })
  // timers of one duration fire in the order they were set
  client.on('data', (chunk) => setTimeout(() => server.write(chunk), delayMs))
  client.on('end', () => setTimeout(() => server.end(), delayMs))
  server.on('data', (chunk) => client.write(chunk))
  server.on('end', () => client.end())
  client.on('error', () => server.destroy())
  server.on('error', () => client.destroy())
})

listener.listen(0, '127.0.0.1', () => console.log((listener.address() as AddressInfo).port))
