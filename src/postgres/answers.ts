// pure
import type { Socket } from 'node:net'
import type { Sql } from './db.ts'

const commandComplete = 0x43
const emptyQuery = 0x49
const errorResponse = 0x45
const readyForQuery = 0x5a
const backendKeyData = 0x4b
const noticeResponse = 0x4e
/** The state in a ReadyForQuery, outside a transaction. */
const idle = 0x49

const errorsOf = new WeakMap<Sql, number[]>()
const pidOf = new WeakMap<Sql, number>()
const answeredOf = new WeakMap<Sql, number>()
const idleOf = new WeakMap<Sql, boolean>()
const listenerOf = new WeakMap<Sql, (notice: ServerNotice) => void>()

/** A notice of the server. `after`: how many messages of the session it had answered before, as counted by {@link answered}. */
export type ServerNotice = {
  severity: string
  sqlstate: string
  message: string
  hint: string | undefined
  after: number
}

/** How many messages of this session the server has finished. */
export const answered = (sql: Sql): number => answeredOf.get(sql) ?? 0

/** Whether the session was outside a transaction after the last message that the server has finished. Unknown counts as inside one. */
export const isIdle = (sql: Sql): boolean => idleOf.get(sql) ?? false

/** Listens to the notices of this session, instead of the previous listener. The driver cannot tell which message a notice belongs to. */
export function onServerNotice(sql: Sql, listener: ((notice: ServerNotice) => void) | undefined): void {
  if (listener) listenerOf.set(sql, listener)
  else listenerOf.delete(sql)
}

/**
 * For each error that the server answered on this session, in order: how many statements of the same message had ended before it.
 * A run-time error has no position; this tells which statement failed. Empty for a session that is not ours.
 */
export const statementsBeforeErrors = (sql: Sql): readonly number[] => errorsOf.get(sql) ?? []

/** The server process that was announced when the session started; undefined if none was. A pooler makes one up. */
export const announcedPid = (sql: Sql): number | undefined => pidOf.get(sql)

/** Reads the answers of the server on a session's socket, which the driver reads too. It parses little more than the headers. */
export function watchAnswers(sql: Sql, socket: Socket): void {
  const errors: number[] = []
  errorsOf.set(sql, errors)
  // the type and the length; of BackendKeyData, also the process, and of ReadyForQuery the state of the transaction
  const header = Buffer.alloc(9)
  let have = 0
  let skip = 0
  let ended = 0
  let notice: Buffer[] | undefined
  const begin = (type: number | undefined) => {
    if (type === commandComplete || type === emptyQuery) ended++
    else if (type === errorResponse) errors.push(ended)
    else if (type === noticeResponse && listenerOf.has(sql)) notice = []
    else if (type === readyForQuery) {
      ended = 0
      answeredOf.set(sql, answered(sql) + 1)
    }
  }
  const endNotice = () => {
    if (notice) listenerOf.get(sql)?.({ ...readNotice(Buffer.concat(notice)), after: answered(sql) })
    notice = undefined
  }
  socket.on('data', (chunk: Buffer) => {
    for (let i = 0; i < chunk.length; ) {
      if (skip > 0) {
        const passed = Math.min(skip, chunk.length - i)
        notice?.push(chunk.subarray(i, i + passed))
        skip -= passed
        i += passed
        if (skip === 0) endNotice()
        continue
      }
      header[have++] = chunk[i++]!
      const isKey = header[0] === backendKeyData
      if (have < (isKey ? 9 : header[0] === readyForQuery ? 6 : 5)) continue
      skip = header.readUInt32BE(1) - (have - 1)
      have = 0
      if (isKey) pidOf.set(sql, header.readUInt32BE(5))
      if (header[0] === readyForQuery) idleOf.set(sql, header[5] === idle)
      begin(header[0])
    }
  })
}

/** Fields of a NoticeResponse: a letter and a text each. @see https://www.postgresql.org/docs/current/protocol-error-fields.html */
function readNotice(body: Buffer): Omit<ServerNotice, 'after'> {
  const fields = new Map(
    body
      .toString('utf8')
      .split('\0')
      .map((field) => [field[0], field.slice(1)]),
  )
  const severity = fields.get('V') ?? fields.get('S') ?? ''
  return { severity, sqlstate: fields.get('C') ?? '', message: fields.get('M') ?? '', hint: fields.get('H') }
}
