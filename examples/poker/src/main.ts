import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { makeToken } from './auth.ts'
import type { Comparison } from './compare.ts'
import { ConfigError, jwtSecret, printFlags, readConfig, targetOf } from './config.ts'
import { DatabaseRepository } from './database.ts'
import { DualRepository } from './dual.ts'
import { apply, type Game } from './game.ts'
import { log } from './log.ts'
import { InMemoryRepository } from './repository.ts'
import { makeServer } from './server.ts'

const usage = `node src/main.ts                 serve
node src/main.ts compare [URL]   are memory and database of the server at URL equal? (TOKEN: an operator's token)
node src/main.ts replay GAME     what happened in a game, from its events in DATABASE_URL
node src/main.ts token NAME      a token for a player, for an hour, signed with JWT_SECRET_FILE (--operator: for compare)`

async function serve(): Promise<number> {
  const config = readConfig(process.env)
  printFlags(config)
  const memory = new InMemoryRepository()
  const database = config.target && new DatabaseRepository(config.target, config.events)
  const dual = database && config.mode === 'dual' ? new DualRepository(memory, database) : undefined
  await database?.ping().catch(() => {}) // logged; play goes on without it, or waits for it
  const server = makeServer(config, { games: dual ?? database ?? memory, database })
  server.listen(config.port, config.host)
  await once(server, 'listening')
  const address = server.address()
  log('listening', { port: typeof address === 'object' && address ? address.port : config.port })

  await Promise.race(['SIGTERM', 'SIGINT'].map((signal) => once(process, signal)))
  const answered = new Promise((resolve) => server.close(resolve))
  await Promise.race([answered, sleep(2_000)])
  server.closeAllConnections()
  const lost = (await dual?.settle(5_000)) ?? 0
  if (lost > 0) log('stopped with games that the database does not have', { games: lost })
  await database?.end()
  return lost > 0 ? 1 : 0
}

async function compareServer(url = 'http://127.0.0.1:3000'): Promise<number> {
  const { TOKEN } = process.env
  const headers = TOKEN ? { authorization: `Bearer ${TOKEN}` } : undefined
  const response = await fetch(new URL('/compare', url), { method: 'POST', ...(headers && { headers }) })
  const body = await response.text()
  if (!response.ok) throw new ConfigError(`${response.status}: ${body}`)
  const { equal, games, replayed, differences } = JSON.parse(body) as Comparison
  for (const { gameId, problem } of differences) console.log(`${gameId}: ${problem}`)
  console.log(`${equal ? 'equal' : 'DIFFERENT'}: ${games} games, ${replayed} of them replayed from their events`)
  return equal ? 0 : 1
}

async function replayGame(id: string): Promise<number> {
  const database = new DatabaseRepository(targetOf(process.env), true)
  try {
    const events = await database.events(id)
    let game: Game | undefined
    for (const { sequence, event } of events) {
      game = apply(game, event)
      console.log(`${sequence} ${JSON.stringify(event)}`)
    }
    const equal = isDeepStrictEqual(game, await database.read(id))
    console.log(game ? `leads to ${JSON.stringify(game)}` : 'there are no events')
    console.log(equal ? 'equal to the game in the database' : 'DIFFERENT from the game in the database')
    return game && equal ? 0 : 1
  } finally {
    await database.end()
  }
}

function token(name: string, operator: boolean): number {
  const exp = Math.floor(Date.now() / 1000) + 3600
  console.log(
    makeToken({ sub: name, exp, ...(operator && { role: 'operator' }) }, jwtSecret(process.env.JWT_SECRET_FILE)),
  )
  return 0
}

async function main([command = 'serve', argument, option]: string[]): Promise<number> {
  if (command === 'serve' && argument === undefined) return serve()
  if (command === 'compare') return compareServer(argument)
  if (command === 'replay' && argument) return replayGame(argument)
  if (command === 'token' && argument) return token(argument, option === '--operator')
  throw new ConfigError(usage)
}

try {
  process.exit(await main(process.argv.slice(2))) // a write may still be tried again and again
} catch (error) {
  console.error(error instanceof ConfigError ? error.message : error)
  process.exit(2)
}
