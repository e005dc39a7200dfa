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
  transfer(transfer: Transfer): Promise<Outcome> {
    return this.#run((sql) => sql.begin((tx) => move(tx, transfer)) as Promise<Outcome>)
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
        if (!passes(error)) throw error
        if (left <= 1) throw new Unavailable((error as Error).message, { cause: error })
        await sleep(100 + Math.random() * 200)
      }
  }
}

async function account(sql: postgres.ISql, name: string): Promise<Account> {
  const [found] = await sql<Account[]>`select name, kind, balance from accounts where name = ${name}`
  if (!found) throw new Refused(404, `there is no account ${name}`)
  return found
}

async function move(sql: postgres.TransactionSql, transfer: Transfer): Promise<Outcome> {
  const { request, from, to, amount } = transfer
  // in the order of their numbers: two transfers between the same accounts never wait for each other
  const locked = await sql<{ id: string; name: string; kind: string; enough: boolean }[]>`
    select id, name, kind, balance >= ${amount}::numeric as enough from accounts
    where name in (${from}, ${to}) order by id for no key update`
  const [payer, payee] = [from, to].map((name) => locked.find((one) => one.name === name))
  for (const [name, found] of [
    [from, payer],
    [to, payee],
  ] as const)
    if (!found) throw new Refused(404, `there is no account ${name}`)

  const [made] = await sql`
    insert into transfers (request, from_account, to_account, amount) values (${request}, ${payer!.id}, ${payee!.id}, ${amount})
    on conflict (request) do nothing returning id`
  if (!made) return repeated(sql, transfer)
  if (payer!.kind === 'customer' && !payer!.enough) throw new Refused(409, `${from} does not have ${amount}`)
  await sql`
    update accounts set balance = balance + case name when ${to} then ${amount}::numeric else -${amount}::numeric end
    where id in (${payer!.id}, ${payee!.id})`
  return { status: 'done', transfer }
}

async function repeated(sql: postgres.TransactionSql, transfer: Transfer): Promise<Outcome> {
  const same = await sql`
    select from transfers t join accounts f on f.id = from_account join accounts p on p.id = to_account
    where request = ${transfer.request} and f.name = ${transfer.from} and p.name = ${transfer.to}
      and amount = ${transfer.amount}::numeric`
  if (same.length === 0) throw new Refused(409, `request ${transfer.request} was a different transfer`)
  return { status: 'done-before', transfer }
}

/**
 * A connection that is lost or cannot be made; a server that starts or stops; a deadlock; a password that is being changed; a
 * database that is being replaced by a restore.
 */
function passes(error: unknown): boolean {
  const { code = '' } = error as { code?: string }
  return (
    /^(08|57P|40|53|55P03|28P01|3D000|57014)/.test(code) ||
    /^(CONNECT|ECONN|EPIPE|ENOTFOUND|EAI_|ETIMEDOUT|EHOST)/.test(code)
  )
}
