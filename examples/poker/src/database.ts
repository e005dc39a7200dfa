import postgres from 'postgres'
import { readSecret } from './config.ts'
import type { Event, Game } from './game.ts'
import { log } from './log.ts'
import { DatabaseUnavailable, type GameRepository, VersionConflict } from './repository.ts'

type Row = { id: string; status: Game['status']; hand_number: number; total_pot: string; version: number; state: State }
type State = Pick<Game, 'players' | 'turn' | 'lastWinners'>
/** A URL, and the file that its password is in, if it is not in the URL. */
export type Target = { url: string; passwordFile?: string | undefined }
export type StoredEvent = { sequence: number; event: Event }

const answerWithinMs = 8_000

/** An answer is given once the transaction is committed. */
export class DatabaseRepository implements GameRepository {
  readonly #target: Target
  readonly #withEvents: boolean
  #sql: postgres.Sql

  constructor(target: Target, withEvents: boolean) {
    this.#target = target
    this.#withEvents = withEvents
    this.#sql = connect(target)
  }

  async createGame(game: Game, event: Event): Promise<void> {
    await this.write(game, 0, [event])
    log('createGame → DB_SUCCESS', { gameId: game.id, version: game.version })
  }

  async saveGame(game: Game, event: Event): Promise<void> {
    await this.write(game, game.version - 1, [event])
    log('saveGame → DB_SUCCESS', { gameId: game.id, version: game.version })
  }

  async getGame(id: string): Promise<Game | undefined> {
    const game = await this.read(id)
    if (game) log('getGame → DB_SUCCESS', { gameId: id, version: game.version })
    return game
  }

  /**
   * Replaces version `base` of a game, and adds its latest events, in one statement, so all or nothing. Doing it again changes
   * nothing, so it can be repeated if the answer was lost. Events that do not follow on from what is stored are replaced by the
   * game itself: the flag was off, or too many were waiting.
   */
  async write(game: Game, base: number, events: Event[]): Promise<void> {
    const { id, status, handNumber, totalPot, version, players, turn, lastWinners } = game
    const first = version - events.length + 1
    await this.#run(async (sql) => {
      const state = sql.json({ players, turn, lastWinners })
      const [{ saved }] = await sql<[{ saved: boolean }]>`
        with saved as (
          insert into games (id, status, hand_number, total_pot, version, state)
          values (${id}, ${status}, ${handNumber}, ${totalPot}, ${version}, ${state})
          on conflict (id) do update set status = excluded.status, hand_number = excluded.hand_number,
            total_pot = excluded.total_pot, version = excluded.version, state = excluded.state
          where games.version = ${base}
          returning id
        ), last as (
          select coalesce(max(sequence), 0) + 1 = ${first} as fits from game_events where game_id = ${id}
        ), event as (
          select ${first}::int + n - 1 as sequence, data
          from last, jsonb_array_elements(${sql.json(events)}) with ordinality as list (data, n) where fits
          union all
          select ${version}, ${sql.json({ type: 'snapshot', game })} from last where not fits
        ), appended as (
          insert into game_events (game_id, sequence, type, data)
          select id, sequence, data ->> 'type', data from saved, event where ${this.#withEvents}
        )
        select exists (select from saved) as saved`
      if (saved) return
      const ours = await sql`select from games where id = ${id} and version = ${version} and state = ${state}`
      if (ours.length === 0) throw new VersionConflict(id)
    })
  }

  /** Writes nothing to the log. */
  async read(id: string): Promise<Game | undefined> {
    const [row] = await this.#run((sql) => sql<Row[]>`select * from games where id = ${id}`)
    if (!row) return undefined
    const { status, hand_number, total_pot, version, state } = row
    return { id, status, handNumber: hand_number, totalPot: Number(total_pot), version, ...state }
  }

  /** From the last snapshot on. */
  async events(id: string): Promise<StoredEvent[]> {
    return this.#run(
      (sql) => sql<StoredEvent[]>`
        select sequence, data as event from game_events
        where game_id = ${id} and sequence >=
          coalesce((select max(sequence) from game_events where game_id = ${id} and type = 'snapshot'), 1)
        order by sequence`,
    )
  }

  async ids(): Promise<string[]> {
    const rows = await this.#run((sql) => sql<{ id: string }[]>`select id from games`)
    return rows.map(({ id }) => id)
  }

  async ping(): Promise<void> {
    await this.#run((sql) => sql`select 1`)
  }

  async end(): Promise<void> {
    await this.#sql.end({ timeout: 1 })
  }

  async #run<T>(work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
    const sql = this.#sql
    const late = Promise.withResolvers<never>()
    const seconds = answerWithinMs / 1000
    const noAnswer = Object.assign(new Error(`no answer within ${seconds} s`), { code: 'NO_ANSWER' })
    const timer = setTimeout(() => late.reject(noAnswer), answerWithinMs)
    try {
      return await Promise.race([work(sql), late.promise])
    } catch (error) {
      if (!isAway(error)) throw error
      if (!(error instanceof postgres.PostgresError)) this.#renew(sql)
      const message = error.message || error.code
      log('Database connection failed', { error: message })
      throw new DatabaseUnavailable(message)
    } finally {
      clearTimeout(timer)
    }
  }

  /** Connections that are broken, or silent, are not used again. */
  #renew(broken: postgres.Sql): void {
    if (this.#sql !== broken) return
    this.#sql = connect(this.#target)
    broken.end({ timeout: 5 }).catch(() => {})
  }
}

const connect = ({ url, passwordFile }: Target) =>
  postgres(url, {
    ...(passwordFile === undefined ? {} : { password: () => readSecret(passwordFile) }), // read again for every connection
    max: 10,
    connect_timeout: 5,
    backoff: () => 0.2,
    fetch_types: false,
    connection: { application_name: 'poker', statement_timeout: 5_000, lock_timeout: 3_000 },
  })

/** The server is down, is shutting down or has no free connection. Not: it refuses this particular statement. */
function isAway(error: unknown): error is Error & { code: string } {
  if (error instanceof postgres.PostgresError) return /^(08|25006|28|3D|53|55P03|57)/.test(error.code)
  return error instanceof Error && 'code' in error
}
