import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe } from 'vitest'
import { rcloneStore } from '../src/store/rclone.ts'
import { storeContract } from './contracts/store.ts'
import { rcloneFolder, rcloneRemotes } from './support/rclone.ts'

const root = mkdtempSync(join(tmpdir(), 'pgbosun-rclone-test-'))
afterAll(() => rmSync(root, { recursive: true }))

describe.runIf(rcloneFolder !== undefined).each(['disk', 'vault'])('rclone, %s', (remote) => {
  let stores = 0
  const make = async () => {
    const path = `store${++stores}`
    return rcloneStore(
      `rclone://${remote}/${remote === 'disk' ? `${root}/disk/${path}` : path}`,
      rcloneRemotes(`${root}/vault`),
    )
  }
  // rcat sends nothing of less than 100 kB
  storeContract(remote, make, { unfinishedBytes: 2_000_000, foldersStay: true })
})
