import { execFileSync } from 'node:child_process'
import { cpSync, statSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test as base, describe, expect } from 'vitest'
import { docker, type Finished, image, withReadableDir } from './support/docker.ts'
import { uniqueName } from './support/postgres.ts'

const root = join(import.meta.dirname, '..')
const example = 'examples/telegram-games'
const player = 1_000_000_001 // seeds/dev makes it

type Project = {
  /** A copy of what compose.yaml mounts. */
  dir: string
  compose(...args: string[]): Promise<Finished>
  /** What psql prints as the superuser, bare. */
  query(text: string): Promise<string>
  /** The service once more, in a container that nothing waits for: to its end, or until it listens. */
  startAgain(): Promise<Finished>
  url(path: string): Promise<string>
}

/** `test` with the example running, for all tests of the file. */
const test = base.extend<{ project: Project }>({
  project: [
    // biome-ignore lint/correctness/noEmptyPattern: vitest demands the destructuring
    async ({}, use) =>
      withReadableDir(async (copy) => {
        for (const path of [example, 'migrations', 'seeds'])
          cpSync(join(root, path), join(copy, path), { recursive: true, filter: (file) => !file.endsWith('/secrets') })
        const dir = join(copy, example)
        execFileSync(join(dir, 'secrets.sh'))
        const name = uniqueName('telegram')
        const env = { BOSUN_IMAGE: image, GAMES_PORT: '0' }
        const compose = (...args: string[]) => docker(['compose', '--project-name', name, ...args], { cwd: dir, env })
        try {
          const started = await compose('up', '--build', '--wait')
          expect(started.code, `${started.stderr}\n${(await compose('logs')).stdout}`).toBe(0)
          await use({
            dir: copy,
            compose,
            async query(text) {
              const psql = ['psql', '-X', '-U', 'postgres', '-Atqc', text, 'langsense']
              const { code, stdout, stderr } = await compose('exec', '-T', 'postgres', ...psql)
              expect(code, stderr).toBe(0)
              return stdout.trim()
            },
            startAgain: () => compose('run', '--rm', '-T', '--no-deps', 'service'),
            url: async (path) => `http://${(await compose('port', 'service', '8080')).stdout.trim()}${path}`,
          })
        } finally {
          const down = await compose('down', '--volumes', '--timeout=2', '--rmi=local')
          expect(down.code, down.stderr).toBe(0)
        }
      }),
    { scope: 'file' },
  ],
})

async function play({ url }: Project, body: unknown): Promise<{ status: number; body: Record<string, unknown> }> {
  const answer = await fetch(await url('/play'), { method: 'POST', body: JSON.stringify(body) })
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
}

/** How many rows there are of what one game writes. */
async function counts({ query }: Project): Promise<Record<string, number>> {
  const tables = ['games', 'transactions', 'outbox', 'notifications', 'audit_logs']
  return JSON.parse(
    await query(
      `select json_build_object(${tables.map((table) => `'${table}', (select count(*) from ${table})`).join(', ')})`,
    ),
  )
}

const plusOne = (before: Record<string, number>) =>
  Object.fromEntries(Object.entries(before).map(([table, count]) => [table, count + 1]))

describe('examples/telegram-games', () => {
  test('starts the service on a healthy database, with a login that is no superuser', async ({ project }) => {
    expect((await project.compose('logs', 'service')).stdout).toMatch(
      /database is healthy, at 003_add_updated_at_triggers\n.*listening on port 8080/,
    )
    expect((await fetch(await project.url('/healthz'))).status).toBe(200)
    const sessions = await project.query(
      `select distinct usename, rolsuper or rolcreaterole or rolcreatedb
         from pg_stat_activity join pg_roles on rolname = usename where application_name = 'telegram-games'`,
    )
    expect(sessions).toBe('langsense_app|f')
    const secrets = join(project.dir, example, 'secrets')
    expect(statSync(secrets).mode & 0o777).toBe(0o700)
    const inspected = await project.compose('exec', '-T', 'service', 'python3', '-c', 'import os; print(os.environ)')
    expect(inspected.stdout).not.toMatch(/postgresql|PASSWORD/i)
  })

  test('a game is five rows, and the amounts are right to the cent', async ({ project }) => {
    expect((await play(project, { telegram_id: player, bet: '10.00' })).status).toBe(200) // its first: with the bonus
    const before = await counts(project)

    const { status, body } = await play(project, { telegram_id: player, bet: 3.33 })

    expect(status).toBe(200)
    expect(await counts(project)).toEqual(plusOne(before))
    const rows = await project.query(
      `select g.bet_amount, g.payout_amount, t.balance_after, o.status, o.payload ->> 'chat_id', n.message = o.payload ->> 'text', a.action
         from games g
         join transactions t on t.reference_id = 'game:' || g.id
         join notifications n on n.metadata ->> 'game_id' = g.id::text
         join audit_logs a on a.entity_type = 'game' and a.entity_id = g.id::text and a.after_state ->> 'balance' = t.balance_after::text
         join outbox o on o.created_at = g.created_at
        where g.id = ${body.game_id}`,
    )
    expect(rows).toBe(`3.33|${body.payout}|${body.balance}|pending|${player}|t|play`)
    expect(body.payout).toBe(body.outcome === 'won' ? '6.59' : '0.00') // 3.33 × 1.98
  })

  test('games of one player at once come one after the other, and check finds every promise kept', async ({
    project,
  }) => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => play(project, { telegram_id: 77, bet: '1.01' })))
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    const newest = `select balance_after from transactions join users on users.id = user_id where telegram_id = 77 order by transactions.id desc limit 1`
    const sum = `select sum(amount) from transactions join users on users.id = user_id where telegram_id = 77`
    expect(await project.query(newest)).toBe(await project.query(sum))

    const { code, stdout, stderr } = await project.compose('run', '--rm', '-T', '--no-deps', 'up', 'check', '--json')

    expect(code, stderr).toBe(0)
    const document = JSON.parse(stdout)
    expect(document).toMatchObject({ overall_healthy: true, pending_migrations: [] })
    expect(document.assertions.map(({ ok }: { ok: boolean }) => ok)).toEqual(Array(6).fill(true))
  })

  test('what the rules do not allow is told, and writes nothing', async ({ project }) => {
    const refused: [unknown, unknown][] = [
      [{ telegram_id: player, bet: '0.50' }, 'a bet is between 1 and 1000'],
      [{ telegram_id: 424242, bet: 2000 }, 'a bet is between 1 and 1000'],
      [{ telegram_id: 424242, bet: 101 }, 'the balance of 100.00 is less than the bet of 101.00'],
      [{ telegram_id: player, bet: 1.001 }, 'bet is a positive amount with at most two decimals'],
      [{ telegram_id: player, bet: 'NaN' }, 'bet is a positive amount with at most two decimals'],
      [{ telegram_id: '1', bet: 1 }, 'telegram_id is a positive number of at most 63 bits'],
      [null, expect.stringMatching(/^send /)],
    ]
    const before = await counts(project)
    for (const [body, error] of refused) expect(await play(project, body)).toEqual({ status: 400, body: { error } })
    expect(await counts(project)).toEqual(before)
    expect(await project.query('select count(*) from users where telegram_id = 424242')).toBe('0')
  })

  test('where the last of the five rows fails, there is none', async ({ project }) => {
    const before = await counts(project)
    await project.query(
      `create function fail() returns trigger language plpgsql as $$ begin raise 'no audit log today'; end $$;
       create trigger fail before insert on audit_logs execute function fail()`,
    )
    const failed = await play(project, { telegram_id: player, bet: 1 })
    await project.query('drop trigger fail on audit_logs; drop function fail()')

    expect(failed).toEqual({ status: 500, body: { error: 'nothing was written' } })
    expect(await counts(project)).toEqual(before)
    expect((await play(project, { telegram_id: player, bet: 1 })).status).toBe(200)
    expect(await counts(project)).toEqual(plusOne(before))
  })

  test('a service that is killed before the last row leaves none', async ({ project }) => {
    const before = await counts(project)
    const holding = project.query('begin; lock table audit_logs in share mode; select pg_sleep(600)').catch(() => {})
    const sessions = (where: string) => project.query(`select count(*) from pg_stat_activity where ${where}`)
    await expect
      .poll(() => sessions("query like '%pg_sleep%' and wait_event = 'PgSleep'"), { timeout: 10_000 })
      .toBe('1')
    const lost = play(project, { telegram_id: player, bet: 1 }).catch(() => 'no answer')
    const waiting = "application_name = 'telegram-games' and wait_event_type = 'Lock' and query like '%audit_logs%'"
    await expect.poll(() => sessions(waiting), { timeout: 10_000 }).toBe('1')

    expect((await project.compose('kill', '--signal=KILL', 'service')).code).toBe(0)
    await project.query("select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'")

    expect(await lost).toBe('no answer')
    await holding
    await expect.poll(() => sessions("application_name = 'telegram-games'"), { timeout: 20_000 }).toBe('0')
    expect(await counts(project)).toEqual(before)
    const again = await project.compose('up', '--wait', '--no-deps', 'service')
    expect(again.code, again.stderr).toBe(0)
    expect((await play(project, { telegram_id: player, bet: 1 })).status).toBe(200)
    expect(await counts(project)).toEqual(plusOne(before))
  })

  test('check finds each row that was made inconsistent by hand', async ({ project }) => {
    const breaks = [
      'update games set payout_amount = payout_amount + 1 where id = 1',
      `update transactions set balance_before = balance_before + 1, balance_after = balance_after + 1 where reference_id = 'game:2'`,
      `update outbox set status = 'sennt' where id = 1`,
      `update notifications set metadata = '{"game_id": -1}' where metadata ->> 'game_id' = '1'`,
      'update outbox set attempts = 5 where id = 2',
    ]
    const mends = [
      'update games set payout_amount = payout_amount - 1 where id = 1',
      `update transactions set balance_before = balance_before - 1, balance_after = balance_after - 1 where reference_id = 'game:2'`,
      `update outbox set status = 'pending' where id = 1`,
      `update notifications set metadata = '{"game_id": 1}' where metadata ->> 'game_id' = '-1'`,
    ]
    const check = () => project.compose('run', '--rm', '-T', '--no-deps', 'up', 'check', '--json')
    await project.query(breaks.join(';'))
    const found = await check()
    await project.query(mends.join(';'))
    const mended = await check()

    expect(found.code, found.stderr).toBe(50)
    expect(JSON.parse(found.stdout)).toMatchObject({
      overall_healthy: false,
      assertions: [
        { name: 'games_pay_what_they_owe', ok: false, problem: 'it returned 1 row (id)' },
        { name: 'games_are_booked_once', ok: false, problem: 'it returned 1 row (id)' },
        { name: 'balances_add_up', ok: false, problem: 'it returned 2 rows (id)' }, // and the one after it
        { name: 'outbox_status_is_known', ok: false, problem: 'it returned 1 row (id)' },
        { name: 'notifications_have_their_game', ok: false, problem: 'it returned 1 row (id)' },
        { name: 'outbox_is_sent', level: 'warning', ok: false, problem: 'it returned 1 row (id)' },
      ],
    })
    expect(mended.code, mended.stderr).toBe(0) // what is left is a warning
    expect(JSON.parse(mended.stdout).warnings).toContainEqual(expect.stringContaining('outbox_is_sent'))
  })

  test('the service refuses to start while an index is missing, a promise is broken or a migration is pending', async ({
    project,
  }) => {
    await project.query(`drop index idx_games_user_id; update outbox set status = 'sennt' where id = 1`)
    const refused = await project.startAgain()
    expect(refused.code).toBe(50)
    expect(refused.stderr).toMatch(/^not started: .*index idx_games_user_id is missing$/m)
    expect(refused.stderr).toMatch(/assertion outbox_status_is_known does not hold/)
    await project.query('create index idx_games_user_id on games (user_id)')
    const waiting = await project.compose('up', '--wait', 'service') // up checks as well: the service is not even tried
    expect(waiting.code).not.toBe(0)
    await project.query(`update outbox set status = 'pending' where id = 1`)

    const file = join(project.dir, 'migrations', '004_nicknames.sql')
    await writeFile(file, 'alter table users add nickname text;\n')
    expect(await project.startAgain()).toMatchObject({
      code: 50,
      stderr: expect.stringMatching(/^not started: migrations are pending: 004_nicknames$/m),
    })
    const ready = await project.compose('up', '--wait', '--force-recreate', 'service') // up applies it
    expect(ready.code, ready.stderr).toBe(0)
    expect((await project.compose('logs', 'service')).stdout).toContain('database is healthy, at 004_nicknames')
    await rm(file)
  })

  test('the service refuses to start without a database, and stops when it is asked to', async ({ project }) => {
    expect((await project.compose('stop', 'service')).code).toBe(0)
    const stopped = await project.compose('ps', '--all', '--format=json', 'service')
    expect(JSON.parse(stopped.stdout)).toMatchObject({ State: 'exited', ExitCode: 0 })

    await project.compose('stop', '--timeout=5', 'postgres')
    const refused = await project.compose('run', '--rm', '-T', '--no-deps', '--env=PGBOSUN_WAIT_TIMEOUT=2s', 'service')
    expect(refused).toMatchObject({ code: 10, stderr: expect.stringMatching(/^not started: .*postgres/m) })
  })
})
