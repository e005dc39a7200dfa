import { type ChildProcess, spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { afterAll, test as base, beforeAll, describe, expect } from 'vitest'
import { makeToken } from '../examples/poker/src/auth.ts'
import { DatabaseRepository } from '../examples/poker/src/database.ts'
import { apply, create, type Event, type Game, replay } from '../examples/poker/src/game.ts'
import { findServerBinaries, type Server, startServer } from '../scripts/server.ts'
import { run } from './support/cli.ts'

const example = join(import.meta.dirname, '..', 'examples', 'poker')
const passwords = { poker_app: 'p@ss:w/ord of the app', poker_monitor: 'monitor', poker_backup: 'backup' }
const jwtSecret = 'a secret of the tests, long enough'

let server: Server
let dir: string
let sql: postgres.Sql
let firstUp: Awaited<ReturnType<typeof run>>

beforeAll(async () => {
  server = await startServer(findServerBinaries()[0]!, { settings: ['fsync=off', 'log_connections=on'] })
  dir = mkdtempSync(join(tmpdir(), 'pgbosun-poker-'))
  for (const path of ['pgbosun.yaml', 'migrations', 'monitoring'])
    cpSync(join(example, path), join(dir, path), { recursive: true })
  await mkdir(join(dir, 'secrets'))
  for (const [name, secret] of Object.entries({ ...passwords, jwt: jwtSecret }))
    await writeFile(join(dir, 'secrets', name), `${secret}\n`)
  firstUp = await up()
  sql = postgres(server.url('poker'), { max: 2, fetch_types: false, onnotice() {} })
})

afterAll(async () => {
  await sql?.end({ timeout: 1 })
  await server?.remove()
  rmSync(dir, { recursive: true, force: true })
})

const up = () => run(['up'], { cwd: dir, env: { DATABASE_URL: server.url('poker') } })

const appUrl = () => `postgres://poker_app@127.0.0.1:${server.port}/poker`

const memory = {}
const dual = { USE_DB_REPOSITORY: 'true', USE_EVENT_PERSISTENCE: 'true' }
const databaseOnly = { USE_DB_REPOSITORY: 'only', USE_EVENT_PERSISTENCE: 'true' }

/** `expect.poll` is for one test at a time. */
async function until(what: () => string, look: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 40_000
  while (!(await look())) {
    if (Date.now() > deadline) throw new Error(`not within 40 s: ${what()}`)
    await sleep(30)
  }
}

type Answer = { status: number; body: Game & { error?: string } }

class Poker {
  readonly child: ChildProcess
  log = ''
  #port = 0

  constructor(env: Record<string, string>, args: string[] = []) {
    this.child = spawn(process.execPath, [join(example, 'src', 'main.ts'), ...args], {
      cwd: dir,
      env: { PORT: '0', DATABASE_URL: appUrl(), DATABASE_PASSWORD_FILE: 'secrets/poker_app', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [this.child.stdout!, this.child.stderr!])
      stream.setEncoding('utf8').on('data', (chunk) => {
        this.log += chunk
      })
  }

  get url() {
    return `http://127.0.0.1:${this.#port}`
  }

  async listening(): Promise<this> {
    await this.logged(/listening port=\d+/)
    this.#port = Number(/listening port=(\d+)/.exec(this.log)?.[1])
    return this
  }

  /** What it logs may arrive after its answer. */
  logged = (words: string | RegExp) =>
    until(
      () => `${words} in\n${this.log}`,
      () => (typeof words === 'string' ? this.log.includes(words) : words.test(this.log)),
    )

  async ask(path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const response = await fetch(
      this.url + path,
      body ? { method: 'POST', body: JSON.stringify(body), headers } : { headers },
    )
    return { status: response.status, body: (await response.json()) as Answer['body'] }
  }

  /** A move that has to be accepted. */
  async play(path: string, body: { player: string; amount?: number }): Promise<Game> {
    const answer = await this.ask(path, body)
    expect(answer.status, answer.body.error).toBeLessThan(300)
    return answer.body
  }

  /** A table of ann and bob. */
  async table(): Promise<string> {
    const { id } = await this.play('/games', { player: 'ann' })
    await this.play(`/games/${id}/join`, { player: 'bob' })
    return id
  }

  /** One hand, with three moves. */
  async hand(id: string, amount = 10): Promise<Game> {
    await this.play(`/games/${id}/deal`, { player: 'ann' })
    await this.play(`/games/${id}/bet`, { player: 'ann', amount })
    return this.play(`/games/${id}/bet`, { player: 'bob', amount })
  }

  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.url}/metrics`)).text()
    return Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${name} `))
        ?.slice(name.length),
    )
  }

  saved = () =>
    until(
      () => 'everything written',
      async () => (await this.metric('poker_dual_write_pending')) === 0,
    )

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return this.child.exitCode
    const gone = new Promise<number | null>((resolve) => this.child.once('close', resolve))
    this.child.kill(signal)
    return gone
  }
}

/** Starts servers that end with the test. */
const test = base.extend<{ start(env: Record<string, string>): Promise<Poker> }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest demands the destructuring
  start: async ({}, use) => {
    const started: Poker[] = []
    await use((env) => {
      const poker = new Poker(env)
      started.push(poker)
      return poker.listening()
    })
    const crashed = started.filter(({ child, log }) => child.exitCode && !log.includes('stopped with games'))
    await Promise.all(started.map((poker) => poker.end('SIGKILL')))
    expect(crashed.map(({ log }) => log)).toEqual([])
  },
})

/** A command of the example, to its end. */
async function command(args: string[], env: Record<string, string> = {}): Promise<{ code: number; output: string }> {
  const poker = new Poker(env, args)
  const code = await new Promise<number>((resolve) => poker.child.once('close', resolve))
  return { code, output: poker.log }
}

const compare = (poker: Poker) => command(['compare', poker.url])

async function stored(id: string): Promise<{ version: number; chips: number } | undefined> {
  const [row] = await sql`
    select version, total_pot + (select sum(p.chips) from jsonb_to_recordset(state -> 'players') p (chips bigint)) as chips
    from games where id = ${id}`
  return row && { version: row.version, chips: Number(row.chips) }
}

describe.concurrent('the phases', () => {
  test('flag off: games are in memory, and gone after a restart', async ({ start }) => {
    const first = await start(memory)
    for (const name of ['DB_REPOSITORY', 'INPUT_VALIDATION', 'AUTH_MIDDLEWARE', 'EVENT_PERSISTENCE'])
      await first.logged(`USE_${name}: DISABLED`)
    const id = await first.table()
    expect(await first.hand(id)).toMatchObject({ version: 5, handNumber: 1, status: 'waiting' })
    await first.logged(`createGame → IN_MEMORY gameId=${id} version=1`)
    await first.logged(`saveGame → IN_MEMORY gameId=${id} version=5`)
    expect(await first.end()).toBe(0)

    const second = await start(memory)
    expect(await second.ask(`/games/${id}`)).toMatchObject({ status: 404 })
    await second.logged(`Game not found gameId=${id}`)
    expect(await stored(id)).toBeUndefined()
    expect(await compare(second)).toMatchObject({ code: 2, output: expect.stringContaining('USE_DB_REPOSITORY') })
  })

  test('migrate: pgbosun makes database, roles and tables, once', async () => {
    expect(firstUp, firstUp.stderr).toMatchObject({ code: 0 })
    expect(firstUp.stdout).toContain('apply migration 001_add-games-table')
    const second = await up()
    expect(second).toMatchObject({ code: 0 })
    expect(second.stdout).toContain('nothing to do')
    const owners = await sql`select distinct tableowner from pg_tables where tablename in ('games', 'game_events')`
    expect(owners.map(({ tableowner }) => tableowner)).toEqual(['poker_owner'])
  })

  test('flag on: memory answers, the database follows, and both are equal', async ({ start }) => {
    const poker = await start(dual)
    await poker.logged('USE_DB_REPOSITORY: ENABLED')
    await poker.logged('USE_EVENT_PERSISTENCE: ENABLED')
    const id = await poker.table()
    await poker.hand(id)
    await poker.saved()
    await poker.play(`/games/${id}/deal`, { player: 'bob' })
    await poker.saved()
    await poker.logged(`createGame → DB_SUCCESS gameId=${id}`)
    await poker.logged(`saveGame → DB_SUCCESS gameId=${id} version=6`)
    expect(await stored(id)).toEqual({ version: 6, chips: 2000 })
    expect(await poker.metric('poker_dual_write_total{result="success"}')).toBeGreaterThan(1)
    expect(await poker.metric('poker_dual_write_total{result="failure"}')).toBe(0)
    expect(await compare(poker)).toEqual({ code: 0, output: 'equal: 1 games, 1 of them replayed from their events\n' })

    await sql`update games set total_pot = total_pot + 1 where id = ${id}`
    expect(await compare(poker)).toEqual({ code: 1, output: expect.stringContaining(`${id}: version 6 differs`) })
    await sql`update games set total_pot = total_pot - 1 where id = ${id}`

    const monitor = postgres(server.url('poker'), {
      username: 'poker_monitor',
      password: passwords.poker_monitor,
      max: 1,
    })
    const queries = readdirSync(join(dir, 'monitoring'))
    expect(queries).toEqual(['active-games.sql', 'recent-activity.sql', 'version-distribution.sql'])
    const [active, recent, versions] = await Promise.all(
      queries.map((name) => monitor.unsafe(readFileSync(join(dir, 'monitoring', name), 'utf8'))),
    )
    expect(active).toContainEqual(expect.objectContaining({ id, hand_number: 2, total_pot: '20', version: 6 }))
    expect(recent![0]).toMatchObject({ only_created: expect.anything(), highest_version: expect.any(Number) })
    expect(versions!.length).toBeGreaterThan(0)
    await expect(monitor`delete from games`).rejects.toThrow(/read-only|permission denied/)
    await monitor.end()
  })

  test('restart and recover: also after kill -9, play goes on where the database has it', async ({ start }) => {
    const first = await start(dual)
    const id = await first.table()
    await first.play(`/games/${id}/deal`, { player: 'ann' })
    await first.saved()
    const before = await first.ask(`/games/${id}?player=ann`)
    await first.end('SIGKILL')

    const second = await start(dual)
    expect(await second.ask(`/games/${id}?player=ann`)).toEqual(before)
    await second.logged(`getGame → DB_HYDRATE gameId=${id} version=3`)
    await second.play(`/games/${id}/bet`, { player: 'ann', amount: 30 })
    await second.logged(`getGame → IN_MEMORY gameId=${id} version=3`)
    // what is on its way is written before the server ends
    expect(await second.end()).toBe(0)
    expect(await stored(id)).toEqual({ version: 4, chips: 2000 })
  })

  test('switch back: the flag off again leaves the database alone, and its games wait there', async ({ start }) => {
    const on = await start(dual)
    const id = await on.table()
    await on.end()
    const off = await start(memory)
    expect(await off.ask(`/games/${id}`)).toMatchObject({ status: 404 })
    const other = await off.table()
    await off.end()
    expect(await stored(other)).toBeUndefined()
    const again = await start(dual)
    await again.hand(id)
    await again.saved()
    expect(await compare(again)).toMatchObject({ code: 0 })
  })

  test('events are replayed to the game, and where some are missing, from a snapshot on', async ({ start }) => {
    const on = await start(dual)
    const id = await on.table()
    await on.hand(id)
    await on.end()
    const complete = await command(['replay', id])
    expect(complete).toMatchObject({ code: 0, output: expect.stringContaining('equal to the game in the database') })
    expect(complete.output.match(/^\d+ .*"type":"\w+"/gm)).toHaveLength(5)

    const without = await start({ USE_DB_REPOSITORY: 'true' })
    await without.hand(id)
    await without.end()
    expect(await command(['replay', id])).toMatchObject({ code: 1, output: expect.stringContaining('DIFFERENT') })
    const again = await start(dual)
    await again.hand(id)
    await again.saved()
    expect(await compare(again)).toMatchObject({ code: 0, output: expect.stringContaining('1 of them replayed') })
    const types = await sql`select type from game_events where game_id = ${id} order by sequence`
    expect(types.map(({ type }) => type).slice(0, 6)).toContain('snapshot')
  })

  test('database only: what is answered is committed, by every server', async ({ start }) => {
    const [one, other] = await Promise.all([start(databaseOnly), start(databaseOnly)])
    await one.logged('USE_DB_REPOSITORY: ENABLED (database only)')
    const id = await one.table()
    await one.logged(`createGame → DB_SUCCESS gameId=${id}`)
    await one.play(`/games/${id}/deal`, { player: 'ann' })
    expect(await stored(id)).toMatchObject({ version: 3 })
    await other.play(`/games/${id}/bet`, { player: 'ann', amount: 0 })
    expect(await stored(id)).toMatchObject({ version: 4 })
    await other.logged(`getGame → DB_SUCCESS gameId=${id} version=3`)
  })
})

describe.concurrent('version conflicts', () => {
  test('dual write: the second of two servers sees it, takes the version of the first, and play goes on', async ({
    start,
  }) => {
    const [one, other] = await Promise.all([start(dual), start(dual)])
    const id = await one.table()
    await one.play(`/games/${id}/deal`, { player: 'ann' })
    await one.saved()
    await other.play(`/games/${id}/bet`, { player: 'ann', amount: 100 })
    await other.saved()
    await one.play(`/games/${id}/bet`, { player: 'ann', amount: 20 })
    await one.logged(`Version conflict for game ${id}`)
    expect(await one.metric('poker_dual_write_total{result="conflict"}')).toBe(1)
    await one.play(`/games/${id}/bet`, { player: 'bob', amount: 100 })
    await one.logged(`getGame → DB_HYDRATE gameId=${id} version=4`)
    await one.saved()
    expect(await stored(id)).toEqual({ version: 5, chips: 2000 })
    expect(await compare(one)).toMatchObject({ code: 0 })
  })

  test('database only: of moves that come at once every one counts, and none twice', async ({ start }) => {
    const servers = await Promise.all([start(databaseOnly), start(databaseOnly)])
    const { id } = await servers[0]!.play('/games', { player: 'p0' })
    const joined = await Promise.all(
      [1, 2, 3, 4, 5, 6, 7].map((n) => servers[n % 2]!.ask(`/games/${id}/join`, { player: `p${n}` })),
    )
    const accepted = joined.filter(({ status }) => status === 200)
    const refused = joined.filter(({ status }) => status !== 200)
    expect(refused.every(({ status }) => status === 409)).toBe(true)
    await until(
      () => 'a conflict',
      () => servers.some(({ log }) => log.includes(`Version conflict for game ${id}`)),
    )
    const { body } = await servers[0]!.ask(`/games/${id}`)
    expect(body.players.length).toBe(1 + accepted.length)
    expect(body.players.length).toBeLessThanOrEqual(6)
    expect(body.version).toBe(body.players.length)
  })

  test('writing again, because the answer was lost, is no conflict', async () => {
    const repository = new DatabaseRepository({ url: appUrl(), passwordFile: join(dir, 'secrets', 'poker_app') }, true)
    const created = create(crypto.randomUUID(), 'ann')
    const joined: Event = { type: 'joined', player: 'bob' }
    const game = replay([created, joined])
    for (const _ of [1, 2]) await repository.write(game, 0, [created, joined])
    const next = apply(game, { type: 'joined', player: 'cid' })
    for (const _ of [1, 2]) await repository.write(next, 2, [{ type: 'joined', player: 'cid' }])
    expect(await repository.events(game.id)).toHaveLength(3)
    const rival = apply(game, { type: 'joined', player: 'dora' })
    await expect(repository.write(rival, 2, [])).rejects.toThrow(`Version conflict for game ${game.id}`)
    await repository.end()
  })
})

describe('the database goes away and comes back during play', () => {
  test('dual write: play goes on, and everything arrives afterwards', async ({ start }) => {
    const poker = await start(dual)
    const stranger = (await poker.table()) as string
    await poker.saved()
    const late = await start(dual)
    const ids = await Promise.all(Array.from({ length: 12 }, () => poker.table()))
    await poker.saved()

    await server.stop('immediate')
    await Promise.all(ids.map((id) => poker.hand(id)))
    const created = await poker.table()
    await poker.logged(/DB persist failed gameId=\S+ version=\d+/)
    await poker.logged('Database connection failed')
    expect(await late.ask(`/games/${stranger}`)).toMatchObject({ status: 503 })
    expect(await poker.metric('poker_dual_write_pending')).toBe(13)
    await Promise.all(ids.map((id) => poker.hand(id)))
    await poker.logged(`DB persist failed gameId=${created}`)
    for (let hands = 0; hands < 340; hands++) await poker.hand(created, 0) // more events than are kept
    expect(poker.log.match(/DB persist failed/g)!.length).toBeLessThan(200)

    await server.start()
    await poker.saved()
    expect(await stored(ids[0]!)).toEqual({ version: 8, chips: 2000 })
    expect(await stored(created)).toEqual({ version: 1022, chips: 2000 })
    const snapshots = await sql`select sequence from game_events where game_id = ${created} and type = 'snapshot'`
    expect(snapshots).toMatchObject([{ sequence: 1022 }])
    expect(await poker.metric('poker_dual_write_total{result="failure"}')).toBeGreaterThan(0)
    expect(await poker.metric('poker_dual_write_total{result="conflict"}')).toBe(0)
    expect(await compare(poker)).toEqual({
      code: 0,
      output: 'equal: 14 games, 14 of them replayed from their events\n',
    })
    expect(await late.ask(`/games/${stranger}`)).toMatchObject({ status: 200 })
  })

  test('dual write: a server that is told to stop meanwhile says what it could not write', async ({ start }) => {
    const poker = await start(dual)
    await poker.table()
    await poker.saved()
    await server.stop('immediate')
    await poker.table()
    expect(await poker.end()).toBe(1)
    await poker.logged('stopped with games that the database does not have games=1')
    await server.start()
  })

  test('dual write: connections that are cut again and again cost nothing', async ({ start }) => {
    const poker = await start(dual)
    const id = await poker.table()
    for (let n = 0; n < 60; n++) {
      await sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'poker'`
      await poker.hand(id, 1)
    }
    await poker.saved()
    expect(await stored(id)).toEqual({ version: 182, chips: 2000 })
    expect(poker.log).not.toContain('Version conflict')
    expect(await compare(poker)).toMatchObject({ code: 0, output: expect.stringContaining('1 of them replayed') })
  })

  test('database only: 503 while it is away, and nothing that was answered is lost', async ({ start }) => {
    const poker = await start(databaseOnly)
    const id = await poker.table()
    await server.stop('immediate')
    expect(await poker.ask(`/games/${id}/deal`, { player: 'ann' })).toMatchObject({ status: 503 })
    expect(await poker.ask('/readyz')).toMatchObject({ status: 503 })
    await poker.logged('Database connection failed')
    await server.start()
    await until(
      () => 'ready again',
      async () => (await poker.ask('/readyz')).status === 200,
    )
    expect(await poker.hand(id)).toMatchObject({ version: 5 })
  })
})

describe.concurrent('what takes its time', () => {
  test('dual write: a database that no longer answers is given up, and reached anew', async ({ start }) => {
    const poker = await start({ ...dual, DATABASE_URL: `${appUrl()}?application_name=silent` })
    const id = await poker.table()
    await poker.saved()
    const backends = await sql`select pid from pg_stat_activity where application_name = 'silent'`
    expect(backends.length).toBeGreaterThan(0)
    const signal = (name: NodeJS.Signals) => {
      for (const { pid } of backends) process.kill(pid, name)
    }
    signal('SIGSTOP')
    try {
      await poker.hand(id)
      await poker.logged('no answer within 8 s')
      await poker.saved()
      expect(await stored(id)).toEqual({ version: 5, chips: 2000 })
    } finally {
      signal('SIGCONT')
    }
  })

  test('database only: nothing acknowledged is lost over kill -9 of the server, nor over lost connections', async ({
    start,
  }) => {
    const acknowledged = new Map<string, Game>()
    const first = await start(databaseOnly)
    const ids = await Promise.all(Array.from({ length: 8 }, () => first.table()))
    let poker = first
    let ended = false
    /** Plays until told to stop; what is not answered is looked up and played on. */
    const player = async (id: string) => {
      while (!ended) {
        const game = await poker.ask(`/games/${id}`).catch(() => undefined)
        if (game?.status !== 200) {
          await sleep(50)
          continue
        }
        const { turn } = game.body
        const move = turn
          ? poker.ask(`/games/${id}/bet`, { player: turn, amount: 0 })
          : poker.ask(`/games/${id}/deal`, { player: 'ann' })
        const answer = await move.catch(() => undefined)
        if (answer?.status === 200) acknowledged.set(id, answer.body)
      }
    }
    const players = ids.map(player)
    for (let round = 0; round < 3; round++) {
      await sleep(500)
      await sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'poker'`
      await sleep(500)
      await poker.end('SIGKILL')
      for (const [id, { version }] of acknowledged) expect((await stored(id))!.version).toBeGreaterThanOrEqual(version)
      poker = await start(databaseOnly)
    }
    await sleep(300)
    ended = true
    await Promise.all(players)

    expect(acknowledged.size).toBe(ids.length)
    for (const [id, game] of acknowledged) {
      const rows = await sql<{ sequence: number; data: Event }[]>`
        select sequence, data from game_events where game_id = ${id} order by sequence`
      expect(rows.map(({ sequence }) => sequence)).toEqual(rows.map((_, n) => n + 1))
      const then = replay(rows.slice(0, game.version).map(({ data }) => data))
      // cards apart: the answer hides those of others
      const plain = ({ players, ...rest }: Game) => ({
        ...rest,
        players: players.map((one) => ({ ...one, cards: [] })),
      })
      expect(plain(then)).toEqual(plain(game))
    }
    expect(await compare(poker)).toMatchObject({ code: 0 })
    expect(await up()).toMatchObject({ code: 0 }) // its assertions: no event ahead, no chip lost
  })
})

describe.concurrent('the other flags', () => {
  test('USE_INPUT_VALIDATION: what is not what it should be is refused with its place', async ({ start }) => {
    const [loose, strict] = await Promise.all([start(memory), start({ USE_INPUT_VALIDATION: 'true' })])
    await strict.logged('USE_INPUT_VALIDATION: ENABLED')
    const id = await strict.table()
    for (const body of [{ player: 1 }, { player: '' }, { player: 'ann', chips: 5 }, { amount: 1 }, [1], 'x', null])
      expect((await strict.ask(`/games/${id}/deal`, body ?? [])).status, JSON.stringify(body)).toBe(400)
    expect(await strict.ask(`/games/${id}/bet`, { player: 'ann', amount: '5' })).toMatchObject({
      status: 400,
      body: { error: expect.stringContaining('amount') },
    })
    // without the flag the rules of the game are all there is, and they hold
    const other = await loose.table()
    await loose.play(`/games/${other}/deal`, { player: 'ann' })
    for (const amount of ['5', null, 1.5, -1, 1e9, { $gt: 0 }])
      expect((await loose.ask(`/games/${other}/bet`, { player: 'ann', amount })).status).toBe(409)
    for (const player of [1, '', 'a\u0000', 'x'.repeat(33), { name: 'x' }])
      expect((await loose.ask('/games', { player })).status).toBe(409)
    expect((await loose.ask('/games', { player: 'x'.repeat(20_000) })).status).toBe(413)
    expect((await loose.ask(`/games/..%2f${other}`)).status).toBe(404)
  })

  test('USE_AUTH_MIDDLEWARE: a token says who plays; headers and a limit protect', async ({ start }) => {
    const poker = await start({
      ...dual,
      USE_AUTH_MIDDLEWARE: 'true',
      JWT_SECRET_FILE: 'secrets/jwt',
      RATE_LIMIT: '12',
    })
    await poker.logged('USE_AUTH_MIDDLEWARE: ENABLED')
    const made = await command(['token', 'ann'], { JWT_SECRET_FILE: 'secrets/jwt' })
    const ann = { authorization: `Bearer ${made.output.trim()}` }
    const bob = { authorization: `Bearer ${makeToken({ sub: 'bob', exp: Date.now() / 1000 + 60 }, jwtSecret)}` }
    expect((await poker.ask('/games', { player: 'ann' })).status).toBe(401)
    const { body: game } = await poker.ask('/games', {}, ann)
    await poker.ask(`/games/${game.id}/join`, { player: 'ann' }, bob)
    const dealt = await poker.ask(`/games/${game.id}/deal`, {}, ann)
    const seen = await poker.ask(`/games/${game.id}?player=ann`, undefined, bob)
    expect(seen.body.players[0]!.cards).toEqual(['??', '??', '??', '??', '??'])
    expect(dealt.body.players[0]!.cards).not.toContain('??')

    const response = await fetch(`${poker.url}/healthz`)
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
    })
    expect(await command(['compare', poker.url], { TOKEN: made.output.trim() })).toMatchObject({ code: 2 })
    const operator = await command(['token', 'olga', '--operator'], { JWT_SECRET_FILE: 'secrets/jwt' })
    await poker.saved()
    const compared = await command(['compare', poker.url], { TOKEN: operator.output.trim() })
    expect(compared.output).toContain('equal: 1 games')
    const statuses = await Promise.all(Array.from({ length: 30 }, () => poker.ask(`/games/${game.id}`, undefined, ann)))
    expect(statuses.filter(({ status }) => status === 429).length).toBeGreaterThanOrEqual(6)
  })

  test('a setting that cannot be used keeps the server from starting', async () => {
    for (const [env, words] of [
      [{ USE_DB_REPOSITORY: 'yes' }, 'USE_DB_REPOSITORY'],
      [{ USE_EVENT_PERSISTENCE: 'true' }, 'needs USE_DB_REPOSITORY'],
      [{ USE_AUTH_MIDDLEWARE: 'true' }, 'JWT_SECRET_FILE'],
      [{ USE_DB_REPOSITORY: 'true', DATABASE_URL: '' }, 'DATABASE_URL is missing'],
    ] as const)
      expect(await command([], env)).toMatchObject({ code: 2, output: expect.stringContaining(words) })
  })

  test('a player named like a part of every object is a player', async ({ start }) => {
    const poker = await start(dual)
    const { id } = await poker.play('/games', { player: '__proto__' })
    await poker.play(`/games/${id}/join`, { player: 'constructor' })
    await poker.play(`/games/${id}/deal`, { player: 'constructor' })
    await poker.saved()
    expect(await compare(poker)).toMatchObject({ code: 0 })
  })
})
