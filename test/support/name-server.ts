import { spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { join } from 'node:path'
import { writeFiles } from './postgres.ts'

/** What a name server answers: a response code of RFC 1035, an IPv4 address, or nothing. */
export type Answer = 'nxdomain' | 'servfail' | 'refused' | 'silence' | { address: string }

const codes = { servfail: 2, nxdomain: 3, refused: 5 }
const typeA = 1

/** A name server of this test alone, which answers every question alike. */
export async function startNameServer(answer: (question: number) => Answer) {
  const socket = createSocket('udp4')
  const address = `127.${process.pid & 0xff}.${(process.pid >> 8) & 0xff}.${2 + Math.floor(Math.random() * 250)}`
  const bound = await new Promise<boolean>((resolve) => {
    socket.once('error', () => resolve(false)).bind(53, address, () => resolve(true))
  })
  let questions = 0
  socket.on('message', (query, from) => {
    const reply = replyTo(query, answer(questions++))
    if (reply) socket.send(reply, from.port, from.address)
  })
  return { address, bound, questions: () => questions, close: () => socket.close() }
}

function replyTo(query: Buffer, answer: Answer): Buffer | undefined {
  if (answer === 'silence') return undefined
  // the name ends with an empty label; type and class follow
  const end = query.indexOf(0, 12) + 5
  const question = query.subarray(12, end)
  const record =
    typeof answer === 'object' && question.readUInt16BE(question.length - 4) === typeA
      ? Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...answer.address.split('.').map(Number)])
      : Buffer.alloc(0)
  const header = Buffer.alloc(12)
  query.copy(header, 0, 0, 2)
  header.writeUInt16BE(0x8180 | (typeof answer === 'object' ? 0 : codes[answer]), 2)
  header.writeUInt16BE(1, 4)
  header.writeUInt16BE(record.length > 0 ? 1 : 0, 6)
  return Buffer.concat([header, question, record])
}

/** A command that runs its arguments with a /etc/resolv.conf of its own, which nobody else sees. */
export async function withResolver(dir: string, address: string, options: string): Promise<string[]> {
  await writeFiles(dir, { 'resolv.conf': `nameserver ${address}\noptions ${options}\n` })
  const own = 'mount --bind "$1" /etc/resolv.conf || exit 99; shift; exec "$@"'
  return ['unshare', '--mount', 'sh', '-c', own, 'sh', join(dir, 'resolv.conf')]
}

/** Whether a test can have a name server and a resolv.conf of its own here: as root, with unshare. */
export async function canResolve(): Promise<boolean> {
  const server = await startNameServer(() => 'silence')
  server.close()
  const mounts = spawnSync('unshare', ['--mount', 'mount', '--bind', '/etc/hosts', '/etc/resolv.conf'])
  return server.bound && mounts.status === 0
}
