import { execFileSync } from 'node:child_process'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { docker, image, withReadableDir } from './support/docker.ts'
import { uniqueName } from './support/postgres.ts'

const example = join(import.meta.dirname, '..', 'examples', 'poker')

describe('examples/poker with Compose', () => {
  test('the server starts once pgbosun is done; a hand is played, and memory and database are equal', () =>
    withReadableDir(async (dir) => {
      cpSync(example, dir, { recursive: true, filter: (path) => !/\/(secrets|node_modules)$/.test(path) })
      execFileSync(join(dir, 'secrets.sh'))
      const env = { BOSUN_IMAGE: image, PORT: '0' }
      const project = uniqueName('poker')
      const compose = (...args: string[]) => docker(['compose', '--project-name', project, ...args], { cwd: dir, env })
      const inServer = (...args: string[]) => compose('exec', '-T', ...args)
      try {
        const started = await compose('up', '--build', '--wait', '--quiet-pull')
        expect(started.code, `${started.stderr}\n${(await compose('logs')).stdout}`).toBe(0)
        const url = `http://${(await compose('port', 'server', '3000')).stdout.trim()}`
        const tokenOf = async (...who: string[]) =>
          (await inServer('server', 'node', 'src/main.ts', 'token', ...who)).stdout.trim()
        const [ann, bob, operator] = await Promise.all([tokenOf('ann'), tokenOf('bob'), tokenOf('olga', '--operator')])
        const post = async (token: string, path: string, body: object = {}) => {
          const headers = { authorization: `Bearer ${token}` }
          const response = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) })
          const answer = (await response.json()) as { id: string; version: number; error?: string }
          expect(response.status, answer.error).toBeLessThan(300)
          return answer
        }

        const { id } = await post(ann!, '/games')
        await post(bob!, `/games/${id}/join`)
        await post(ann!, `/games/${id}/deal`)
        await post(ann!, `/games/${id}/bet`, { amount: 50 })
        expect(await post(bob!, `/games/${id}/bet`, { amount: 50 })).toMatchObject({ status: 'waiting', version: 5 })

        const compare = await inServer('--env', `TOKEN=${operator}`, 'server', 'node', 'src/main.ts', 'compare')
        expect(compare).toMatchObject({ code: 0, stdout: 'equal: 1 games, 1 of them replayed from their events\n' })
        const backup = await inServer('backups', 'pgbosun', 'backup', 'run')
        expect(backup.code, backup.stderr).toBe(0)

        // a new server has it from the database
        expect((await compose('restart', 'server')).code).toBe(0)
        expect((await compose('up', '--wait', 'server')).code).toBe(0)
        const again = `http://${(await compose('port', 'server', '3000')).stdout.trim()}`
        const seen = await fetch(`${again}/games/${id}`, { headers: { authorization: `Bearer ${ann}` } })
        expect(await seen.json()).toMatchObject({ version: 5 })
        expect((await compose('logs', 'server')).stdout).toContain(`getGame → DB_HYDRATE gameId=${id} version=5`)
      } finally {
        const down = await compose('down', '--volumes', '--timeout=5', '--rmi=local')
        expect(down.code, down.stderr).toBe(0)
      }
    }))
})
