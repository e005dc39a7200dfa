import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { makeFolder } from './make-folder.ts'

const dir = mkdtempSync(join(tmpdir(), 'pgbosun-folder-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

test('makes what is missing, and leaves what is there', async () => {
  await makeFolder(join(dir, 'a/b/c'), 0o700)
  expect(statSync(join(dir, 'a/b')).mode & 0o777).toBe(0o700)
  await makeFolder(join(dir, 'a/b/c'), 0o750)
  expect(statSync(join(dir, 'a/b/c')).mode & 0o777).toBe(0o700)
})

test('several at once do not disturb each other', async () => {
  await Promise.all(Array.from({ length: 20 }, (_, i) => makeFolder(join(dir, 'x/y/z', String(i % 3)))))
  expect(statSync(join(dir, 'x/y/z/2')).isDirectory()).toBe(true)
})

test('ends with an error where a folder takes nothing, and where a file is in the way', async () => {
  await expect(makeFolder('/proc/nope/below')).rejects.toMatchObject({ code: 'ENOENT' })
  writeFileSync(join(dir, 'file'), '')
  await expect(makeFolder(join(dir, 'file/below'))).rejects.toMatchObject({ code: 'ENOTDIR' })
})
