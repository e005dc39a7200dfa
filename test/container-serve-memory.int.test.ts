import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { docker, dockerOk, runArgs } from './support/docker.ts'
import { test } from './support/engine.ts'
import { writeFiles } from './support/postgres.ts'

const request = 'GET /status.json HTTP/1.1\r\nhost: localhost\r\n\r\n'

/** Many migrations to look at all the time, and many databases, each of which `/status.json` has an entry of. */
const files = {
  'pgbosun.yaml': JSON.stringify({
    backup: { databases: Array.from({ length: 200 }, (_, i) => `database_number_${i}`) },
  }),
  ...Object.fromEntries(Array.from({ length: 900 }, (_, i) => [`migrations/${i + 1}_number.sql`, `select ${i}`])),
}

test('serve in 64 MiB outlives one client that sends 10,000 requests ahead, and 200 clients at once', {
  timeout: 240_000,
}, async ({ postgres, database, dir }) => {
  await writeFiles(dir, files)
  const id = await dockerOk(
    ...runArgs(['serve', '--no-up'], {
      network: postgres.network,
      env: { DATABASE_URL: postgres.url(database), PGBOSUN_SERVE_ACCESS: 'open' },
      mounts: { [`${dir}/migrations`]: '/migrations', [`${dir}/pgbosun.yaml`]: '/pgbosun.yaml' },
      flags: ['--detach', '--memory=64m', '--memory-swap=64m', '--publish=127.0.0.1::8080'],
    }),
  )
  try {
    const [address = ''] = (await dockerOk('port', id, '8080')).split('\n')
    const get = (path: string) => fetch(`http://${address}${path}`, { signal: AbortSignal.timeout(10_000) })
    const length = async () => (await (await get('/status.json')).text()).length
    await expect.poll(() => length().catch(() => 0), { timeout: 60_000 }).toBeGreaterThan(30_000)

    // on a busy machine one answer may take long
    const alive = async () => (await get('/livez').catch(() => undefined))?.status === 200

    const connected = async (): Promise<Socket> => {
      const socket = connect(Number(address.split(':')[1]), '127.0.0.1')
      socket.on('error', () => {})
      await once(socket, 'connect')
      return socket
    }
    const answers = (socket: Socket, enough: number) =>
      new Promise<number>((resolve) => {
        let count = 0
        socket.on('data', (bytes) => {
          count += bytes.toString('latin1').split('HTTP/1.1 200').length - 1
          if (count >= enough) resolve(count)
        })
        socket.on('close', () => resolve(count))
      })

    const ahead = await connected()
    const answered = answers(ahead, 9_900) // a line may come in two pieces
    ahead.write(request.repeat(10_000))
    expect(await answered).toBeGreaterThanOrEqual(9_900)
    ahead.destroy()

    // half of them read nothing
    const sockets = await Promise.all(Array.from({ length: 200 }, connected))
    for (const [i, socket] of sockets.entries()) {
      if (i % 2) socket.pause()
      else socket.resume()
      socket.write(request.repeat(50))
    }
    await sleep(5_000)
    await expect.poll(alive, { timeout: 60_000 }).toBe(true)
    for (const socket of sockets) socket.destroy()

    await expect.poll(alive, { timeout: 60_000 }).toBe(true)
    const { stdout } = await docker([
      'inspect',
      '--format={{.State.Running}} {{.State.OOMKilled}} {{.RestartCount}} {{.State.ExitCode}}',
      id,
    ])
    expect(stdout.trim(), (await docker(['logs', '--tail=20', id])).stderr).toBe('true false 0 0')
  } finally {
    await dockerOk('rm', '--force', id)
  }
})
