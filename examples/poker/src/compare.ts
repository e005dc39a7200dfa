import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { DatabaseRepository } from './database.ts'
import { replay } from './game.ts'
import type { InMemoryRepository } from './repository.ts'

export type Comparison = {
  equal: boolean
  games: number
  /** Games whose events were replayed. */
  replayed: number
  differences: { gameId: string; problem: string }[]
}

/** Is every game in memory the same in the database, and the same when its events are replayed? Play can go on during the comparison. */
export async function compare(
  database: DatabaseRepository,
  memory: InMemoryRepository | undefined,
  withEvents: boolean,
  patienceMs = 2_000,
): Promise<Comparison> {
  const ids = memory ? memory.ids() : await database.ids()
  const result: Comparison = { equal: true, games: ids.length, replayed: 0, differences: [] }
  const deadline = Date.now() + patienceMs
  for (const gameId of ids) {
    let problem = await difference(gameId)
    while (problem !== undefined && Date.now() < deadline) {
      await sleep(50) // it may be on its way
      problem = await difference(gameId)
    }
    if (problem === undefined) continue
    result.equal = false
    result.differences.push({ gameId, problem })
  }
  return result

  async function difference(id: string): Promise<string | undefined> {
    const stored = await database.read(id)
    const held = memory?.peek(id)
    if (memory && !held) return undefined // forgotten since: the database has it alone
    if (!stored) return `version ${held?.version} is in memory alone`
    if (held && !isDeepStrictEqual(held, stored))
      return held.version === stored.version
        ? `version ${held.version} differs between memory and database`
        : `version ${held.version} in memory, ${stored.version} in the database`
    if (!withEvents) return undefined
    const events = await database.events(id)
    const last = events.at(-1)?.sequence
    if (last === undefined) return undefined // not touched since the flag is on
    if (last !== stored.version) return `the last event is ${last}, the game at version ${stored.version}`
    const again = replay(events.map(({ event }) => event))
    if (!isDeepStrictEqual(again, stored)) return 'its events lead to another game'
    result.replayed++
    return undefined
  }
}
