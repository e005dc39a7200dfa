import { setTimeout as sleep } from 'node:timers/promises'
import type { DatabaseRepository } from './database.ts'
import type { Event, Game } from './game.ts'
import { log } from './log.ts'
import { type GameRepository, type InMemoryRepository, VersionConflict } from './repository.ts'

/** A game that is to replace version `base`. */
type Change = { base: number; game: Game; events: Event[] }
/** `sent` may have arrived already: it is repeated unchanged until there is an answer. `next` collects what has come since. */
type Unsaved = { sent?: Change | undefined; next?: Change | undefined }

const atOnce = 8
const mostEvents = 1000
const pauses = { first: 100, longest: 5_000 }

/**
 * Memory answers at once, the database follows. For each game only the latest change waits, for as long as the database cannot be
 * reached. If another server has changed a game in the database, that version wins: ours is dropped, and the game is read again.
 */
export class DualRepository implements GameRepository {
  readonly counters = { success: 0, failure: 0, conflict: 0, hydrated: 0 }
  readonly memory: InMemoryRepository
  readonly database: DatabaseRepository
  readonly #unsaved = new Map<string, Unsaved>()
  #draining: Promise<void> | undefined

  constructor(memory: InMemoryRepository, database: DatabaseRepository) {
    this.memory = memory
    this.database = database
  }

  async createGame(game: Game, event: Event): Promise<void> {
    await this.memory.createGame(game)
    this.#enqueue(game, event)
  }

  async saveGame(game: Game, event: Event): Promise<void> {
    await this.memory.saveGame(game)
    this.#enqueue(game, event)
  }

  async getGame(id: string): Promise<Game | undefined> {
    const known = await this.memory.getGame(id)
    if (known) return known
    const stored = await this.database.read(id)
    if (!stored) return undefined
    this.counters.hydrated++
    log('getGame → DB_HYDRATE', { gameId: id, version: stored.version })
    return this.memory.hydrate(stored)
  }

  get pending(): number {
    return this.#unsaved.size
  }

  /** Waits for the database, but not for ever. */
  async settle(timeoutMs: number): Promise<number> {
    await Promise.race([this.#draining, sleep(timeoutMs, undefined, { ref: false })])
    return this.pending
  }

  #enqueue(game: Game, event: Event): void {
    const unsaved: Unsaved = this.#unsaved.get(game.id) ?? {}
    const { base, events } = unsaved.next ?? { base: game.version - 1, events: [] }
    unsaved.next = { base, game, events: events.length < mostEvents ? [...events, event] : [] }
    this.#unsaved.set(game.id, unsaved)
    this.#draining ??= this.#drain()
  }

  async #drain(): Promise<void> {
    let pause = pauses.first
    while (this.#unsaved.size > 0) {
      const batch: [string, Unsaved][] = []
      for (const entry of this.#unsaved) if (batch.push(entry) === atOnce) break
      const written = await Promise.all(batch.map(([id, unsaved]) => this.#write(id, unsaved)))
      if (written.includes(true)) pause = pauses.first
      else {
        await sleep(pause)
        pause = Math.min(pause * 2, pauses.longest)
      }
    }
    this.#draining = undefined
  }

  /** Never fails: play goes on. */
  async #write(id: string, unsaved: Unsaved): Promise<boolean> {
    if (!unsaved.sent) {
      unsaved.sent = unsaved.next
      unsaved.next = undefined
    }
    const { game, base, events } = unsaved.sent!
    const fields = { gameId: id, version: game.version }
    try {
      await this.database.write(game, base, events)
      unsaved.sent = undefined
      if (!unsaved.next) this.#unsaved.delete(id)
      this.counters.success++
      log(base === 0 ? 'createGame → DB_SUCCESS' : 'saveGame → DB_SUCCESS', fields)
      return true
    } catch (error) {
      this.#unsaved.delete(id)
      if (error instanceof VersionConflict) {
        this.counters.conflict++
        log(error.message, { ...fields, base })
        this.memory.forget(id)
        return true
      }
      this.#unsaved.set(id, unsaved) // behind the others
      this.counters.failure++
      log('DB persist failed', { ...fields, error: error instanceof Error ? error.message : String(error) })
      return false
    }
  }
}
