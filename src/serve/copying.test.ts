import { expect, test } from 'vitest'
import { AppError } from '../errors.ts'
import { silentLog } from '../log.ts'
import { createCopying } from './copying.ts'
import { newBackupState } from './state.ts'

/** A store that lacks three backups. @param fails what copying one of them fails with */
function world(fails: (id: string) => Error | undefined) {
  const lacking = new Set(['3', '2', '1'])
  const tried: string[] = []
  const clock = { ms: 0 }
  const copying = createCopying({
    backups: [newBackupState('shop')],
    lackingOf: (database) => [...lacking].map((id) => ({ database, id, store: 'two' })),
    async copy({ id }) {
      tried.push(id)
      const error = fails(id)
      if (error) throw error
      lacking.delete(id)
    },
    nowMs: () => clock.ms,
    log: silentLog,
    signal: new AbortController().signal,
  })
  const turn = async (ms: number) => {
    clock.ms = ms
    copying.turn()
    await copying.stop()
    return tried.splice(0).join('')
  }
  return { turn }
}

const minute = 60_000

test('a backup that is damaged everywhere keeps no other from being copied', async () => {
  const { turn } = world((id) => (id === '3' ? new AppError('corrupt', 'it is damaged') : undefined))
  expect(await turn(0)).toBe('321')
  expect(await turn(20 * minute)).toBe('')
  expect(await turn(61 * minute)).toBe('3')
})

test('a store that fails is left alone for some time', async () => {
  let isDown = true
  const { turn } = world(() => (isDown ? new AppError('backup', 'it is full') : undefined))
  expect(await turn(0)).toBe('3')
  isDown = false
  expect(await turn(5 * minute)).toBe('')
  expect(await turn(11 * minute)).toBe('321')
  expect(await turn(12 * minute)).toBe('')
})
