// pure
import { isSameStore, urlOf } from './predicates.ts'
import type { BackupConfig } from './schema.ts'

/** A place that backups are stored in. */
export type StorePlace = {
  url: string
  /** What stays in this store; undefined: what `backup.keep` says. */
  keep: BackupConfig['keep'] | undefined
  /** Nothing is written to it unless a volume is mounted there. */
  mustBeMount: boolean
  s3: BackupConfig['s3']
}

type Stores = Pick<BackupConfig, 'store' | 'stores' | 's3'>

/** The stores that the configuration names, in its order. The first sets the pace of a backup, and is read first. */
export const storesOf = ({ store, stores, s3 }: Stores): StorePlace[] =>
  (stores ?? [store]).map((entry) => {
    const own = typeof entry === 'string' ? undefined : entry
    return {
      url: urlOf(entry),
      keep: own?.keep,
      mustBeMount: own?.mustBeMount ?? false,
      s3: { ...s3, ...present(own?.s3 ?? {}) },
    }
  })

/** A store that `--to` names: one of those that are configured, or another one, reached as `backup.s3` says. */
export const placeOf = (backup: Stores, url: string): StorePlace => {
  return (
    storesOf(backup).find((place) => isSameStore(place.url, url)) ?? {
      url,
      keep: undefined,
      mustBeMount: false,
      s3: backup.s3,
    }
  )
}

/**
 * Whether backups of a schedule go to a store. Those of one that names no stores, or is not configured, go to each.
 *
 * @param schedule undefined, or empty, for backups of `backup.schedule`
 */
export function goesTo(
  { schedules }: Pick<BackupConfig, 'schedules'>,
  schedule: string | undefined,
  { url }: Pick<StorePlace, 'url'>,
): boolean {
  const named = schedules?.find(({ name }) => name === schedule)?.stores
  return named === undefined || named.some((one) => isSameStore(one, url))
}

const present = <T extends object>(values: T): Partial<T> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>
