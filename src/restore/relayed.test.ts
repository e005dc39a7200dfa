import { describe, expect, test } from 'vitest'
import { afterStartup, type Relayed, withoutBinding, withoutSettings } from './relayed.ts'

const message = (type: string, body: string | Buffer) => {
  const bytes = Buffer.from(body)
  const header = Buffer.alloc(5)
  header.write(type, 'latin1')
  header.writeInt32BE(bytes.length + 4, 1)
  return Buffer.concat([header, bytes])
}
const query = (text: string) => message('Q', `${text}\0`)

/** In pieces of every size, the same must come out. */
function relayed(make: () => Relayed, given: Buffer): string {
  const outputs = [1, 2, 3, 7, 64, given.length].map((size) => {
    const relay = make()
    const out: Buffer[] = []
    for (let at = 0; at < given.length; at += size) out.push(...relay(given.subarray(at, at + size)))
    return Buffer.concat(out).toString('latin1')
  })
  expect(new Set(outputs).size).toBe(1)
  return outputs[0]!
}

const text = (...parts: Buffer[]) => Buffer.concat(parts).toString('latin1')

describe('what a client sends', () => {
  const clean = (...given: Buffer[]) => relayed(() => withoutSettings(['transaction_timeout']), Buffer.concat(given))

  test('goes on as it is, but for a query that sets an unknown parameter', () => {
    const around = [query('SET lock_timeout = 0;\n'), message('p', 'a password'), message('d', 'x'.repeat(500))]
    const set = query('SET transaction_timeout = 0;\n')
    const harmless = query('SET statement_timeout = 0;')
    expect(clean(...around, set, ...around, set)).toBe(text(...around, harmless, ...around, harmless))
  })

  test('may have the same text in rows, in another type of message and within a longer query', () => {
    const same = 'SET transaction_timeout = 0;\n'
    const given = [message('d', `${same}\0`), query(`select 1; ${same}`), query(`${same}select 1`), message('Z', same)]
    given.push(query(`${' '.repeat(300)}${same}`), query('SET transaction_timeouts = 0;'), message('X', ''))
    expect(clean(...given)).toBe(text(...given))
  })

  test('begins with a start-up message without a type', () => {
    const startup = Buffer.concat([Buffer.from([0, 0, 0, 20, 0, 3, 0, 0]), Buffer.from('user\0\0SET x\0')])
    const set = query('SET transaction_timeout = 0;\n')
    const make = () => afterStartup(withoutSettings(['transaction_timeout']))
    expect(relayed(make, Buffer.concat([startup, set]))).toBe(text(startup, query('SET statement_timeout = 0;')))
  })
})

describe('what a server sends', () => {
  const sasl = (...names: string[]) =>
    message('R', Buffer.concat([Buffer.from([0, 0, 0, 10]), Buffer.from(`${names.join('\0')}\0\0`)]))

  test('offers no method that is bound to its TLS session', () => {
    const rest = [
      message('S', 'TimeZone\0UTC\0'),
      message('R', Buffer.from([0, 0, 0, 0])),
      message('D', 'SCRAM-SHA-256-PLUS\0'),
    ]
    const given = Buffer.concat([sasl('SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256'), ...rest])
    expect(relayed(withoutBinding, given)).toBe(text(sasl('SCRAM-SHA-256'), ...rest))
  })

  test.each([-1, 0, 3])('goes on as it is where it is no message: length %s', (length) => {
    const wrong = Buffer.from([0x52, 0, 0, 0, 0, 0, 0, 0])
    wrong.writeInt32BE(length, 1)
    const given = [sasl('SCRAM-SHA-256'), wrong, sasl('SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256')]
    expect(relayed(withoutBinding, Buffer.concat(given))).toBe(text(...given))
  })

  test('is otherwise as it is', () => {
    const given = [sasl('SCRAM-SHA-256'), message('R', Buffer.from([0, 0, 0, 12, 1, 2, 3])), message('E', 'x')]
    expect(relayed(withoutBinding, Buffer.concat(given))).toBe(text(...given))
  })
})
