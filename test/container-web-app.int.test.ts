import { execFileSync } from 'node:child_process'
import { cpSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { docker, image, withReadableDir } from './support/docker.ts'
import { uniqueName } from './support/postgres.ts'

const example = join(import.meta.dirname, '..', 'examples/web-app')

test('examples/web-app makes two databases and backs one up into its folder', async () => {
  await withReadableDir(async (dir) => {
    cpSync(example, dir, { recursive: true, filter: (path) => !/\/(secrets|backups)$/.test(path) })
    execFileSync(join(dir, 'secrets.sh'))
    const name = uniqueName('webapp')
    const compose = (...args: string[]) =>
      docker(['compose', '--project-name', name, ...args], { cwd: dir, env: { BOSUN_IMAGE: image } })
    const ok = async (...args: string[]) => {
      const { code, stdout, stderr } = await compose(...args)
      expect([args, code], stderr).toEqual([args, 0])
      return stdout.trim()
    }
    try {
      await ok('up', '--wait')
      const health = await docker([
        'inspect',
        '--format',
        '{{json .Config.Healthcheck}}',
        await ok('ps', '-q', 'postgres'),
      ])
      expect(JSON.parse(health.stdout)).toMatchObject({ Interval: 30e9, Timeout: 10e9, Retries: 3 })
      const psql = (database: string, text: string) =>
        ok('exec', '-T', 'postgres', 'psql', '-X', '-U', 'postgres', '-Atqc', text, database)
      for (const database of ['kennwilliamson', 'kennwilliamson_test'])
        expect(await psql(database, 'select count(*) from _sqlx_migrations')).toBe('4')
      expect(await psql('kennwilliamson', 'select count(*) > 0 from pg_stat_statements')).toBe('t')
      const check = await ok('exec', '-T', 'pgbosun', 'pgbosun', 'check')
      expect(check).toMatch(/^healthy$/m)
      // serve has made up for the slot of this night, or does so meanwhile
      const { id } = JSON.parse(await ok('exec', '-T', 'pgbosun', 'pgbosun', 'backup', 'run', '--json'))
      expect(readdirSync(join(dir, 'backups/kennwilliamson'))).toContain(id)
      await ok('exec', '-T', 'pgbosun', 'pgbosun', 'restore', 'latest', '--into', 'kennwilliamson_copy', '--yes')
      const file = ['--to', '/backups/kennwilliamson.sql', '--as', 'sql']
      await ok('exec', '-T', 'pgbosun', 'pgbosun', 'backup', 'fetch', 'latest', ...file)
      expect(readFileSync(join(dir, 'backups/kennwilliamson.sql'), 'utf8')).toContain('CREATE TABLE public.sessions')
      expect(await psql('kennwilliamson_copy', 'select count(*) from users')).toBe('2')
    } finally {
      const down = await compose('down', '--volumes', '--timeout=2')
      expect(down.code, down.stderr).toBe(0)
    }
  })
})
