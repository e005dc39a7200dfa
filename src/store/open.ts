import type { Loaded } from '../config/load.ts'
import { rcloneEnvironment } from '../config/rclone-environment.ts'
import { readS3Settings } from '../config/s3-settings.ts'
import { storeApart } from './apart.ts'
import { lazily } from './lazily.ts'
import { localStore } from './local.ts'
import { placeOf as rclonePlaceOf } from './rclone-place.ts'
import { placeOf } from './s3-place.ts'
import type { Store } from './store.ts'
import { until } from './until.ts'

/**
 * The store that the configuration names. Nothing is read or written until it is used.
 *
 * @param signal of the run: after it, no call keeps the run from ending
 * @throws {AppError} `usage` when a file or a variable that `backup.s3` names cannot be read
 */
export const openStore = (loaded: Opening, signal: AbortSignal): Store =>
  until(openerOf(loaded.config.backup.store)(loaded), signal)

const openerOf = (url: string): ((loaded: Opening) => Store) =>
  url.startsWith('s3:') ? inBucket : url.startsWith('rclone:') ? byRclone : inFolder

type Opening = Pick<Loaded, 'config' | 'env' | 'baseDir'>

/** A process of its own makes the file calls, so that one that never returns keeps nothing; not where memory is very scarce. */
const inFolder = ({ config: { backup } }: Opening): Store =>
  hasRoom() ? storeApart(backup.store) : localStore(backup.store)

/** A second process takes memory of its own: in a container of 64 MiB, beside `serve` and what is run in it, that is too much. */
const hasRoom = (): boolean => {
  const limit = process.constrainedMemory()
  return limit === 0 || limit >= 128 * 2 ** 20
}

/** After the time limit of a backup nobody sends anything to it any more; who sweeps may have a clock that differs. */
const sweepAfterMs = 3_600_000

function inBucket(loaded: Opening): Store {
  const { store, timeout } = loaded.config.backup
  const settings = readS3Settings(loaded)
  return lazily(placeOf(store).name, async () => {
    const { s3Store } = await import('./s3.ts')
    return s3Store(store, settings, { staleMs: timeout + sweepAfterMs })
  })
}

function byRclone({ config, env }: Opening): Store {
  const url = config.backup.store
  return lazily(rclonePlaceOf(url).name, async () => {
    const { rcloneStore } = await import('./rclone.ts')
    return rcloneStore(url, rcloneEnvironment(env))
  })
}
