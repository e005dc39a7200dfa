import { expect, test } from 'vitest'
import { type Cron, parseCron } from '../config/cron.ts'
import { AppError } from '../errors.ts'
import { silentLog } from '../log.ts'
import { type StoredFacts, startScheduler } from './scheduler.ts'
import type { BackupState } from './state.ts'

const noon = new Date('2026-03-01T12:00:30Z')
const none: StoredFacts = { covered: undefined, lastId: undefined, lastSuccessAt: undefined, lastVerifiedAt: undefined }

/** One turn in which our backup fails; `after`: what the store says then. */
async function turn(after: () => StoredFacts): Promise<BackupState> {
  const backup = { database: 'shop', running: false, lastError: null } as unknown as BackupState
  let failed = false
  const { stop } = startScheduler({
    schedule: { cron: parseCron('0 12 * * *') as Cron, zone: 'UTC' },
    backups: [backup],
    readStore: async () => (failed ? after() : none),
    async backUp() {
      failed = true
      throw new AppError('backup', 'the backup of shop failed: the connection to the database was lost')
    },
    onTick() {},
    now: () => noon,
    log: silentLog,
    signal: new AbortController().signal,
  })
  await stop()
  return backup
}

test('a slot that another process has made meanwhile is no failure', async () => {
  const made = { ...none, covered: new Date('2026-03-01T12:00:00Z'), lastId: 'other', lastSuccessAt: noon }
  expect(await turn(() => made)).toMatchObject({ lastError: null, lastSuccessId: 'other' })
})

test('a slot that nobody has made is one', async () => {
  expect(await turn(() => none)).toMatchObject({ lastError: expect.stringContaining('was lost') })
})
