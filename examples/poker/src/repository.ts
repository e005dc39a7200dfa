import type { Event, Game } from './game.ts'
import { log } from './log.ts'

/** Where games are kept. The event is what led to this version of the game. */
export interface GameRepository {
  createGame(game: Game, event: Event): Promise<void>
  /** Replaces the version before this one, and no other; otherwise throws `VersionConflict`. */
  saveGame(game: Game, event: Event): Promise<void>
  getGame(id: string): Promise<Game | undefined>
}

/** Somebody else has changed the game in the meantime. */
export class VersionConflict extends Error {
  constructor(id: string) {
    super(`Version conflict for game ${id}`)
  }
}

/** The database did not answer. The write may or may not have happened. */
export class DatabaseUnavailable extends Error {}

export class InMemoryRepository implements GameRepository {
  readonly #games = new Map<string, Game>()

  async createGame(game: Game): Promise<void> {
    this.#games.set(game.id, game)
    log('createGame → IN_MEMORY', { gameId: game.id, version: game.version })
  }

  async saveGame(game: Game): Promise<void> {
    if (this.#games.get(game.id)?.version !== game.version - 1) throw new VersionConflict(game.id)
    this.#games.set(game.id, game)
    log('saveGame → IN_MEMORY', { gameId: game.id, version: game.version })
  }

  async getGame(id: string): Promise<Game | undefined> {
    const game = this.peek(id)
    if (game) log('getGame → IN_MEMORY', { gameId: id, version: game.version })
    return game
  }

  /** Two requests may have read it from the database: the first one's copy may have been played since. */
  hydrate(game: Game): Game {
    const known = this.peek(game.id)
    if (!known) this.#games.set(game.id, game)
    return known ?? game
  }

  peek = (id: string): Game | undefined => this.#games.get(id)
  forget = (id: string): boolean => this.#games.delete(id)
  ids = (): string[] => [...this.#games.keys()]
}
