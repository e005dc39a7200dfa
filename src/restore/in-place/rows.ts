import { AppError } from '../../errors.ts'
import { scan } from '../../sql/scan.ts'

/** What the text that pg_restore writes is sent to. */
export type RowTarget = {
  /** A single COPY from the client, with its rows in the text format. */
  copy(statement: string, rows: AsyncIterable<Uint8Array>): Promise<unknown>
  /** One statement that fills a large object. */
  run(statement: string): Promise<unknown>
}

/**
 * Sends the data of an archive, as text of pg_restore that was asked for nothing else, to a session: so they become part of a transaction
 * of ours, and pg_restore does not decide when that is committed. Memory is constant.
 *
 * @returns how many tables were filled
 * @throws {AppError} `restore` for text that is neither
 */
export async function sendRows(text: AsyncIterable<Uint8Array>, { copy, run }: RowTarget): Promise<number> {
  const source = readerOf(text)
  let tables = 0
  for (let line = await source.line(); line !== undefined; line = await source.line()) {
    if (line.startsWith('COPY ')) {
      await copy(await wholeCopy(line, source), source.rows())
      tables += 1
    } else if (largeObject.test(line)) await run(line)
    else if (!meaningless.test(line)) throw unexpected()
  }
  return tables
}

const largeObject = /^SELECT pg_catalog\.(lo_open|lowrite|lo_close)\(/
/** Comments, settings of its session, and its own transactions around large objects. */
const meaningless = /^(|--.*|SET .*;|SELECT pg_catalog\.set_config\(.*;|BEGIN;|COMMIT;|\\(un)?restrict .*)$/

const unexpected = () =>
  new AppError('restore', 'pg_restore wrote something that is neither rows nor a large object', {
    hint: 'restore with --into NEW, or by a swap (without --in-place)',
  })

/** A name may contain a line break. Within it, the number of quotes is odd. */
async function wholeCopy(start: string, source: Reader): Promise<string> {
  let statement = start
  while (!statement.endsWith(' FROM stdin;') || statement.split('"').length % 2 === 0) {
    const more = await source.line()
    if (more === undefined) throw unexpected()
    statement += `\n${more}`
  }
  if (scan(statement).statements.length !== 1) throw unexpected()
  return statement
}

type Reader = ReturnType<typeof readerOf>

const end = Buffer.from('\n\\.\n')

function readerOf(text: AsyncIterable<Uint8Array>) {
  const chunks = text[Symbol.asyncIterator]()
  let rest = Buffer.alloc(0)
  const more = async (): Promise<boolean> => {
    const { value, done } = await chunks.next()
    if (done) return false
    rest = rest.length === 0 ? Buffer.from(value) : Buffer.concat([rest, value])
    return true
  }
  const take = (length: number): Buffer => {
    const taken = rest.subarray(0, length)
    rest = rest.subarray(length)
    return taken
  }
  return {
    /** Undefined at the end. */
    async line(): Promise<string | undefined> {
      for (let from = 0; ; ) {
        const at = rest.indexOf(10, from)
        if (at >= 0) return take(at + 1).toString('utf8', 0, at)
        from = rest.length
        if (!(await more())) return rest.length === 0 ? undefined : take(rest.length).toString('utf8')
      }
    },
    /** Everything up to a line with nothing but `\.`, which is no row: a backslash in a row is doubled. */
    async *rows(): AsyncGenerator<Uint8Array> {
      while (rest.length < end.length - 1) if (!(await more())) throw unexpected()
      if (rest.subarray(0, 3).equals(end.subarray(1))) return void take(3)
      for (;;) {
        const at = rest.indexOf(end)
        if (at >= 0) {
          yield take(at + 1)
          take(end.length - 1)
          return
        }
        // the end may lie across two chunks
        if (rest.length >= end.length) yield take(rest.length - end.length + 1)
        if (!(await more())) throw unexpected()
      }
    },
  }
}
