import type { Loaded } from '../config/load.ts'
import { rcloneEnvironment } from '../config/rclone-environment.ts'
import { readS3Settings } from '../config/s3-settings.ts'
import type { StorePlace } from '../config/stores.ts'
import { storeApart } from './apart.ts'
import { lazily } from './lazily.ts'
import { localStore } from './local.ts'
import { onlyOnMount } from './only-on-mount.ts'
import { placeOf as rclonePlaceOf } from './rclone-place.ts'
import { placeOf } from './s3-place.ts'
import type { Store } from './store.ts'
import { until } from './until.ts'

/**
 * The store of that place. Nothing is read or written until it is used.
 *
 * @param signal of the run: after it, no call keeps the run from ending
 * @throws {AppError} `usage` when a file or a variable that is named for it cannot be read
 */
export const openPlace = (place: StorePlace, loaded: Opening, signal: AbortSignal): Store =>
  until(openerOf(place.url)(place, loaded), signal)

type Opener = (place: StorePlace, loaded: Opening) => Store

const openerOf = (url: string): Opener =>
  url.startsWith('s3:') ? inBucket : url.startsWith('rclone:') ? byRclone : inFolder

type Opening = Pick<Loaded, 'config' | 'env' | 'baseDir'>

/** A process of its own makes the file calls, so that one that never returns keeps nothing; not where memory is very scarce. */
function inFolder({ url, mustBeMount }: StorePlace): Store {
  const store = hasRoom() ? storeApart(url) : localStore(url)
  return mustBeMount ? onlyOnMount(store) : store
}

/** A second process takes memory of its own: in a container of 64 MiB, beside `serve` and what is run in it, that is too much. */
const hasRoom = (): boolean => {
  const limit = process.constrainedMemory()
  return limit === 0 || limit >= 128 * 2 ** 20
}

/** After the time limit of a backup nobody sends anything to it any more; who sweeps may have a clock that differs. */
const sweepAfterMs = 3_600_000

function inBucket({ url, s3 }: StorePlace, loaded: Opening): Store {
  const settings = readS3Settings(s3, loaded)
  const staleMs = loaded.config.backup.timeout + sweepAfterMs
  const load = async () => {
    const { s3Store } = await import('./s3.ts')
    return s3Store(url, settings, { staleMs })
  }
  return lazily(placeOf(url).name, load, { hasVersions: true })
}

function byRclone({ url }: StorePlace, { env }: Opening): Store {
  return lazily(rclonePlaceOf(url).name, async () => {
    const { rcloneStore } = await import('./rclone.ts')
    return rcloneStore(url, rcloneEnvironment(env))
  })
}
