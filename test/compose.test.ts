import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { configSchema } from '../src/config/schema.ts'

const read = (...path: string[]) =>
  parse(readFileSync(join(import.meta.dirname, '..', ...path), 'utf8'), { merge: true })

test('compose.yaml publishes to 127.0.0.1 alone what its configuration opens to everybody', () => {
  const { serve } = configSchema.parse(read('examples', 'compose', 'pgbosun.yaml'))
  const services = Object.values(read('compose.yaml').services as Record<string, { ports?: string[] }>)
  expect(serve.access).toBe('open')
  expect(services.flatMap(({ ports = [] }) => ports)).toEqual([expect.stringMatching(/^127\.0\.0\.1:.*:8080$/)])
  expect(serve.listen).toBe('[::]:8080')
})

describe('secrets.sh', () => {
  const script = join(import.meta.dirname, '..', 'scripts', 'containers', 'secrets.sh')
  const secrets = (...args: string[]) => spawnSync(script, args, { encoding: 'utf8' })
  const look = (file: string) => ({ text: readFileSync(file, 'utf8'), ...statSync(file) })

  test('rotates a password in the file that is mounted, and no other', () => {
    const dir = mkdtempSync(join(tmpdir(), 'pgbosun-secrets-'))
    try {
      expect(secrets(dir).status).toBe(0)
      const [file, other] = [join(dir, 'games_backup_password'), join(dir, 'games_app_password')]
      const [before, otherBefore] = [look(file), look(other)]
      expect(secrets('rotate', 'games_backup_password', dir)).toMatchObject({ status: 0, stdout: '', stderr: '' })
      const after = look(file)
      expect([after.ino, after.mode & 0o777, after.text.length]).toEqual([before.ino, 0o444, before.text.length])
      expect(after.text).not.toBe(before.text)
      expect(look(other).text).toBe(otherBefore.text)
      expect(secrets('rotate', 'postgres_password', dir).status).toBe(2)
      expect(secrets('rotate', 'nothing', dir).status).toBe(2)
      expect(existsSync(join(dir, 'nothing'))).toBe(false)
    } finally {
      rmSync(dir, { recursive: true, force: true })
    }
  })
})
