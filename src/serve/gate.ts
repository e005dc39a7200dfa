import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'

/** Upper limits for what clients can use; see `guardConnections`. */
export type Limits = {
  /** Beyond this number, the oldest connection that is not being answered is closed. */
  connections: number
  /** How long a connection may be silent in both directions. */
  idleMs: number
  /** How much the parser gets at a time: pipelined requests wait in the kernel, not in our memory. */
  sliceBytes: number
}

export const limits: Limits = { connections: 200, idleMs: 10_000, sliceBytes: 512 }

/** A connection as the HTTP server sees it: the server gets the next bytes only when no request is waiting for its answer. */
class Gate extends Duplex {
  readonly #socket: Socket
  readonly #sliceBytes: number
  #waiting: Buffer[] = []
  #wanted = false
  #answering = 0

  constructor(socket: Socket, { sliceBytes, idleMs }: Limits) {
    super()
    this.#socket = socket
    this.#sliceBytes = sliceBytes
    socket.setTimeout(idleMs, () => this.destroy())
    socket.on('data', (bytes) => {
      socket.pause()
      this.#waiting = [bytes]
      this.#feed()
    })
    socket.on('end', () => this.push(null))
    socket.on('error', () => this.destroy())
    socket.on('close', () => this.destroy())
  }

  get remoteAddress(): string | undefined {
    return this.#socket.remoteAddress
  }

  get isAnswering(): boolean {
    return this.#answering > 0
  }

  /** A request was parsed. */
  asked(): void {
    this.#answering++
  }

  /** Its answer was sent, or never will be. */
  answered(): void {
    this.#answering--
    // On a fresh stack, because thousands of requests may be pipelined.
    setImmediate(() => this.#feed())
  }

  override _read(): void {
    this.#wanted = true
    this.#feed()
  }

  #feed(): void {
    if (!this.#wanted || this.isAnswering || this.destroyed) return
    const [bytes] = this.#waiting
    if (!bytes) return void this.#socket.resume()
    const rest = bytes.subarray(this.#sliceBytes)
    this.#waiting = rest.length > 0 ? [rest] : []
    this.#wanted = false
    this.push(bytes.subarray(0, this.#sliceBytes))
  }

  override _write(bytes: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(bytes, done)
  }

  override _final(done: () => void): void {
    this.#socket.end(done)
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy()
    done(error)
  }
}

/**
 * Puts every connection of a server that does not listen yet behind a gate: one request at a time, a limited number of connections,
 * and none that stays idle. So memory is bounded whatever clients do, and clients that only connect cannot keep others out.
 */
export function guardConnections(http: Server, limits: Limits): void {
  const gates = new Set<Gate>()
  const parse = http.listeners('connection') as ((socket: Duplex) => void)[]
  http.removeAllListeners('connection')
  http.on('request', (request, response) => {
    const gate = request.socket as unknown as Gate
    gate.asked()
    response.once('close', () => gate.answered())
  })
  http.on('connection', (socket) => {
    if (gates.size >= limits.connections) {
      const [first] = gates
      ;([...gates].find(({ isAnswering }) => !isAnswering) ?? first)?.destroy()
    }
    const gate = new Gate(socket, limits)
    gates.add(gate)
    gate.once('close', () => gates.delete(gate))
    for (const each of parse) each.call(http, gate)
  })
}
