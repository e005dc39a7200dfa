import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { docker, dockerOk, image, withReadableDir } from './support/docker.ts'
import { uniqueName } from './support/postgres.ts'

const example = join(import.meta.dirname, '..', 'examples', 'bank')

/** What the example names, where the engine has it or can get it; otherwise the version of the other examples. */
async function postgresImage(): Promise<string> {
  const wanted = 'docker.io/library/postgres:16-trixie'
  return (await docker(['image', 'inspect', wanted])).code === 0 ? wanted : 'docker.io/library/postgres:17-trixie'
}

const customers = ['ada', 'ben', 'cleo', 'dan', 'eve', 'finn']
const any = <T>(list: T[]) => list[Math.floor(Math.random() * list.length)]!

/** Clients that transfer money at once and send a request until it is answered, to whichever replica, as its users would. */
function startLoad(urls: () => string[], clients: number) {
  const seen = { made: 0, tries: 0, refused: 0 }
  const wrong: string[] = []
  let stopped = false
  const one = async () => {
    while (!stopped) {
      const [from, to] = [any([...customers, 'mint']), any(['house', ...customers])]
      if (from === to) continue
      const body = JSON.stringify({
        request: randomUUID(),
        from,
        to,
        amount: `${any([0, 3, 17])}.${any(['01', '99'])}`,
      })
      for (;;) {
        seen.tries += 1
        const answer = await fetch(`${any(urls())}/transfers`, { method: 'POST', body }).catch(() => undefined)
        if (answer && answer.status < 500) {
          if (answer.ok) seen.made += 1
          else if (answer.status === 409) seen.refused += 1
          else wrong.push(`${answer.status} ${await answer.text()}`)
          break
        }
        await sleep(100)
      }
      await sleep(20) // the machine has more to do
    }
  }
  const running = Array.from({ length: clients }, one)
  return {
    seen,
    async stop() {
      stopped = true
      await Promise.all(running)
      expect(wrong).toEqual([])
      return seen
    },
  }
}

test(
  'examples/bank brings its SQLite file along, and two replicas under load lose no cent, whatever is restarted or rotated',
  () =>
    withReadableDir(async (dir) => {
      cpSync(example, dir, { recursive: true, filter: (path) => !/\/(secrets|node_modules)$/.test(path) })
      execFileSync(join(dir, 'secrets.sh'))
      const project = uniqueName('bank')
      const env = { BOSUN_IMAGE: image, PORTS: '0', POSTGRES_IMAGE: await postgresImage() }
      let files: string[] = []
      const compose = (...args: string[]) =>
        docker(['compose', '--project-name', project, ...files, ...args], { cwd: dir, env })
      const ok = async (...args: string[]) => {
        const { code, stdout, stderr } = await compose(...args)
        expect([args, code], stderr).toEqual([args, 0])
        return stdout.trim()
      }
      const psql = (text: string) =>
        ok('exec', '-T', '--user', 'postgres', 'postgres', 'psql', '-XAtqc', text, 'neobank')
      const asApp = (settings: string) => {
        const command = `PGPASSWORD=$(cat /app) psql -XAtc 'select 1' "host=postgres user=neobank_app ${settings}"`
        const network = `${project}_default`
        const mounts = [`${dir}/secrets/neobank_app:/app:ro`, `${dir}/secrets/ca.crt:/ca.crt:ro`]
        const flags = ['--rm', '--network', network, ...mounts.map((one) => `--volume=${one}`), '--entrypoint=sh']
        return docker(['run', ...flags, env.POSTGRES_IMAGE, '-c', command])
      }
      const findReplicas = async () => {
        const ids = (await ok('ps', '-q', 'api')).split('\n')
        const ports = await Promise.all(ids.map((id) => dockerOk('port', id, '8000')))
        return ids.map((id, i) => ({ id, url: `http://${ports[i]!.split('\n')[0]}` }))
      }
      const check = () => compose('run', '--rm', '--no-deps', 'up', 'check')

      try {
        const started = await compose('up', '--build', '--wait', '--quiet-pull')
        expect(started.code, `${started.stderr}\n${(await compose('logs')).stdout}`).toBe(0)
        expect(await psql(`select sum(balance), count(*) from accounts`)).toBe('0.00|9')
        expect(await psql(`select kind, balance from accounts where name = 'ada'`)).toBe('customer|346.01')

        // two replicas, with everything that can be restarted
        let replicas = await findReplicas()
        expect(replicas).toHaveLength(2)
        const load = startLoad(() => replicas.map(({ url }) => url), 6)
        await sleep(2000)
        await dockerOk('kill', replicas[0]!.id)
        await dockerOk('start', replicas[0]!.id)
        replicas = await findReplicas()
        await ok('restart', '--timeout', '20', 'postgres')
        const soFar = load.seen.made
        while (load.seen.made < soFar + 50) await sleep(50)

        // a new password: what is connected stays connected, and what connects meanwhile is tried again
        const before = await psql(`select pid from pg_stat_activity where usename = 'neobank_app' order by 1 limit 1`)
        execFileSync(join(dir, 'secrets.sh'), ['--rotate', 'neobank_app'])
        expect(await ok('run', '--rm', '--no-deps', 'up')).toMatch(/set password of role neobank_app\s+/)
        expect(await psql(`select count(*) from pg_stat_activity where pid = ${before}`)).toBe('1')
        await psql(`select pg_terminate_backend(${before})`)
        const rotated = load.seen.made
        while (load.seen.made < rotated + 50) await sleep(50)
        const { made, tries, refused } = await load.stop()
        expect(made).toBeGreaterThan(200)
        expect(tries).toBeGreaterThan(made + refused) // something was really in the way
        expect(await psql('select count(*) from transfers where request is not null')).toBe(String(made))
        expect((await check()).stdout).toMatch(/^healthy$/m)

        // a cent that is made by hand is found
        await psql(`update accounts set balance = balance + 0.01 where name = 'mint'`)
        const found = await check()
        expect([found.code, found.stdout]).toEqual([50, expect.stringContaining('no cent is lost or made')])
        await psql(`update accounts set balance = balance - 0.01 where name = 'mint'`)

        // the application's user
        const verified = 'sslmode=verify-full sslrootcert=/ca.crt'
        expect(await asApp(`dbname=neobank ${verified}`)).toMatchObject({ code: 0, stdout: '1\n' })
        for (const database of ['postgres', 'template1'])
          expect(await asApp(`dbname=${database} ${verified}`)).toMatchObject({ code: 2 })
        const plain = await asApp('dbname=neobank sslmode=disable')
        expect([plain.code, plain.stderr]).toEqual([2, expect.stringContaining('no encryption')])

        // the override: the application works through PgBouncer, and a password is rotated there, too
        files = ['-f', 'compose.yaml', '-f', 'compose.pooler.yaml']
        await ok('up', '--build', '--wait', '--quiet-pull')
        replicas = await findReplicas()
        const pooled = startLoad(() => replicas.map(({ url }) => url), 6)
        execFileSync(join(dir, 'secrets.sh'), ['--rotate', 'neobank_app'])
        await ok('run', '--rm', '--no-deps', 'up')
        await sleep(1500)
        await psql(`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'neobank_app'`)
        const after = pooled.seen.made
        while (pooled.seen.made < after + 50) await sleep(50)
        const through = await pooled.stop()
        expect(await psql('select count(*) from transfers where request is not null')).toBe(String(made + through.made))
        const pooler = await ok('ps', '-q', 'pgbouncer')
        const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}'
        const address = await dockerOk('inspect', '--format', format, pooler)
        expect(
          await psql(`select distinct host(client_addr) from pg_stat_activity where usename = 'neobank_app'`),
        ).toBe(address)
        expect((await check()).stdout).toMatch(/^healthy$/m)

        await ok('exec', '-T', 'backups', 'pgbosun', 'backup', 'run')
        files = ['-f', 'compose.yaml', '-f', 'compose.rehearse.yaml']
        await ok('up', '--wait', 'rehearsal', 'backups')
        expect(await ok('exec', '-T', 'backups', 'pgbosun', 'backup', 'verify', 'latest', '--restore')).toMatch(
          /^ok +neobank +\S+ +restored in .* on rehearsal/m,
        )
      } finally {
        const down = await compose('down', '--volumes', '--remove-orphans', '--timeout=2', '--rmi=local')
        expect(down.code, down.stderr).toBe(0)
      }
    }),
  240_000,
)
