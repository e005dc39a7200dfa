import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { readPassword, type Target } from './config.ts'

export type Account = { name: string; kind: 'system' | 'customer'; balance: string }
/** `amount` is text, as all money here: numbers of JavaScript cannot hold a cent. */
export type Transfer = { request: string; from: string; to: string; amount: string }
export type Outcome = { status: 'done' | 'done-before'; transfer: Transfer }

/** What the client did wrong: the answer is `status`, and nothing was changed. */
export class Refused extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** The database gave no answer: the transfer may have been made or not, and the same request can be sent again. */
export class Unavailable extends Error {}

/** The bank keeps nothing in memory, so any number of them work on one database. */
export class Bank {
  readonly #sql: postgres.Sql

  constructor(target: Target, env: NodeJS.ProcessEnv) {
    const { url, caFile } = target
    this.#sql = postgres({
      host: url.hostname,
      port: Number(url.port || 5432),
      database: url.pathname.slice(1),
      username: decodeURIComponent(url.username),
      password: () => readPassword(target, env),
      ssl: caFile ? { ca: readFileSync(caFile, 'utf8') } : false, // the certificate has to be for this host
      max: 5,
      connect_timeout: 3,
      prepare: false, // behind PgBouncer each transaction may have another session
      fetch_types: false,
      connection: { application_name: 'neobank', statement_timeout: 5000 },
      onnotice() {},
    })
  }

  /** Whether a query is answered. */
  async health(): Promise<void> {
    await this.#run((sql) => sql`select 1`, 1)
  }

  async open(name: string): Promise<Account> {
    if (!/^[a-z][a-z0-9-]{0,31}$/.test(name)) throw new Refused(400, 'a name is made of a to z, 0 to 9 and -')
    return this.#run(async (sql) => {
      await sql`insert into accounts (name, kind) values (${name}, 'customer') on conflict (name) do nothing`
      return account(sql, name)
    })
  }

  account(name: string): Promise<Account> {
    return this.#run((sql) => account(sql, name))
  }

  /** Moves money once for each `request`, however often it is sent, and to whichever replica. */
  async transfer(transfer: Transfer): Promise<Outcome> {
    const { request, from, to, amount } = transfer
    const [row] = await this.#run(
      (sql) => sql<{ status: Outcome['status'] }[]>`
        select transfer(${request}::uuid, ${from}::text, ${to}::text, ${amount}::numeric) as status`,
    )
    return { status: row!.status, transfer }
  }

  close(): Promise<void> {
    return this.#sql.end({ timeout: 5 })
  }

  /** Tries what may work the next time: a transfer is carried out once, however often it is tried. */
  async #run<T>(work: (sql: postgres.Sql) => Promise<T>, tries = 10): Promise<T> {
    for (let left = tries; ; left -= 1)
      try {
        return await work(this.#sql)
      } catch (error) {
        const { code = '', message } = error as { code?: string; message: string }
        if (code.startsWith('NB')) throw new Refused(Number(code.slice(2)), message)
        if (!passes(code)) throw error
        if (left <= 1) throw new Unavailable(message, { cause: error })
        await sleep(100 + Math.random() * 200)
      }
  }
}

async function account(sql: postgres.ISql, name: string): Promise<Account> {
  const [found] = await sql<Account[]>`select name, kind, balance from accounts where name = ${name}`
  if (!found) throw new Refused(404, `there is no account ${name}`)
  return found
}

/**
 * A connection that is lost or cannot be made; a server that starts or stops; a deadlock; a password that is being changed; a
 * database that is being replaced by a restore.
 */
const passes = (code: string) =>
  /^(08|57P|40|53|55P03|28P01|3D000|57014)/.test(code) ||
  /^(CONN|ECONN|EPIPE|ENOTFOUND|EAI_|ETIMEDOUT|EHOST)/.test(code)
