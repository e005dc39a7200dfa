import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { z } from 'zod'
import { type Claims, checkToken, rateLimiter, securityHeaders } from './auth.ts'
import { compare } from './compare.ts'
import type { Config } from './config.ts'
import type { DatabaseRepository } from './database.ts'
import { DualRepository } from './dual.ts'
import { apply, type Command, create, decide, type Game, RuleError, view } from './game.ts'
import { log } from './log.ts'
import { DatabaseUnavailable, type GameRepository, VersionConflict } from './repository.ts'

type Repositories = { games: GameRepository; database: DatabaseRepository | undefined }
type Body = { player?: string | undefined; amount?: number | undefined }

class HttpError extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

const largestBody = 10_000
const attempts = 5
const route = /^\/games(?:\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:\/(join|deal|bet|fold))?)?$/

export function makeServer(config: Config, { games, database }: Repositories): Server {
  const allowed = rateLimiter(config.auth?.rateLimit ?? 0)
  const dual = games instanceof DualRepository ? games : undefined

  return createServer((request, response) => {
    if (config.auth) for (const [name, value] of Object.entries(securityHeaders)) response.setHeader(name, value)
    answer(request).then(
      ([status, body]) => send(response, status, body),
      (error) => send(response, statusOf(error), { error: error.message }),
    )
  })

  async function answer(request: IncomingMessage): Promise<[number, unknown]> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost')
    const asked = `${request.method} ${pathname}`
    if (asked === 'GET /healthz') return [200, { ok: true }]
    if (asked === 'GET /readyz') return ready()
    if (asked === 'GET /metrics') return [200, metrics()]

    const who = authenticate(request)
    if (asked === 'POST /compare') return comparison(who)
    const [found, id, action] = route.exec(pathname) ?? []
    if (found && request.method === 'GET' && id && !action) {
      const viewer = config.auth ? who?.sub : (searchParams.get('player') ?? undefined)
      return [200, view(await existing(id), viewer)]
    }
    if (!found || request.method !== 'POST' || (id && !action)) throw new HttpError(404, 'there is nothing here')

    const body = input(await readJson(request), action === 'bet')
    const player = (config.auth ? who?.sub : body.player) ?? ''
    if (id) return [200, view(await play(id, { type: action, player, amount: body.amount } as Command), player)]
    const event = create(randomUUID(), player)
    const game = apply(undefined, event)
    await games.createGame(game, event)
    return [201, view(game, player)]
  }

  async function ready(): Promise<[number, unknown]> {
    if (config.mode === 'database') await database?.ping()
    return [200, { ok: true }]
  }

  async function comparison(who: Claims | undefined): Promise<[number, unknown]> {
    if (config.auth && who?.role !== 'operator') throw new HttpError(403, 'this is for operators')
    if (!database) throw new HttpError(409, 'there is no database to compare with: USE_DB_REPOSITORY is DISABLED')
    return [200, await compare(database, dual?.memory, config.events)]
  }

  function authenticate(request: IncomingMessage): Claims | undefined {
    if (!config.auth) return undefined
    if (!allowed(request.socket.remoteAddress ?? '')) throw new HttpError(429, 'too many requests')
    const who = checkToken(request.headers.authorization, config.auth.secret)
    if (!who) throw new HttpError(401, 'a valid token is needed')
    return who
  }

  function input(body: unknown, withAmount: boolean): Body {
    if (!config.validation) return Object(body) as Body
    const name = z.string().min(1).max(32)
    const schema = z.strictObject({
      player: config.auth ? z.undefined().optional() : name,
      amount: withAmount ? z.int().min(0) : z.undefined().optional(),
    })
    const { success, data, error } = schema.safeParse(body)
    if (!success) throw new HttpError(400, z.prettifyError(error))
    return data
  }

  async function existing(id: string): Promise<Game> {
    const game = await games.getGame(id)
    if (game) return game
    log('Game not found', { gameId: id })
    throw new HttpError(404, 'Game not found')
  }

  /** If another move came first, the command is checked again against the game as it is then. */
  async function play(id: string, command: Command): Promise<Game> {
    for (let attempt = 1; ; attempt++) {
      const game = await existing(id)
      const event = decide(game, command)
      const next = apply(game, event)
      try {
        await games.saveGame(next, event)
        return next
      } catch (error) {
        if (!(error instanceof VersionConflict)) throw error
        log(error.message, { version: next.version })
        if (attempt === attempts) throw error
      }
    }
  }

  function metrics(): string {
    const { success, failure, conflict, hydrated } = dual?.counters ?? {
      success: 0,
      failure: 0,
      conflict: 0,
      hydrated: 0,
    }
    return Object.entries({
      'poker_dual_write_total{result="success"} ': success,
      'poker_dual_write_total{result="failure"} ': failure,
      'poker_dual_write_total{result="conflict"} ': conflict,
      'poker_dual_write_pending ': dual?.pending ?? 0,
      'poker_hydrated_total ': hydrated,
    })
      .map(([name, value]) => `${name}${value}\n`)
      .join('')
  }
}

function statusOf(error: unknown): number {
  if (error instanceof HttpError) return error.status
  if (error instanceof RuleError || error instanceof VersionConflict) return 409
  if (error instanceof DatabaseUnavailable) return 503
  log('Unexpected error', { error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
  return 500
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    size += chunk.length
    if (size > largestBody) throw new HttpError(413, `more than ${largestBody} bytes`)
    chunks.push(chunk)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString() || '{}')
  } catch {
    throw new HttpError(400, 'this is not JSON')
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  const text = typeof body === 'string' ? body : `${JSON.stringify(body)}\n`
  if (status === 429 || status === 503) response.setHeader('retry-after', '1')
  if (status === 413) response.setHeader('connection', 'close')
  response.setHeader('content-type', typeof body === 'string' ? 'text/plain; version=0.0.4' : 'application/json')
  response.writeHead(status).end(text)
}
