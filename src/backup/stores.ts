import type { Backup } from '../archive/backup.ts'
import { openCatalog } from '../archive/catalog.ts'
import { type Catalog, partsOf } from '../archive/catalog-type.ts'
import type { Manifest } from '../archive/manifest.ts'
import { mergeBackups } from '../archive/merge.ts'
import { eachOf } from '../archive/several.ts'
import type { AppError } from '../errors.ts'
import { inEach } from '../store/in-each.ts'
import type { Store } from '../store/store.ts'
import { type Bounded, until } from '../store/until.ts'
import { type Failure, recordFailure } from './failed.ts'
import type { BackupOptions } from './options.ts'
import { openPlaces, type Places } from './places.ts'
import { type PrunePolicy, policyIn } from './prune-candidates.ts'
import { makeRoom, type Room } from './room.ts'
import { removeAll, sweepLeftovers } from './sweep.ts'

/** The stores of one backup, which all end with its time limit, and what is known of each. */
export type BackupStores = {
  places: Places
  /** The backups of the database in all of them, oldest first. A store that cannot be listed gets no copy. */
  look(): Promise<Backup[]>
  /** Names of the stores that have a backup. */
  having(backup: Backup): readonly string[]
  /** A store that has it. */
  copyOf(backup: Backup): Store
  /** Removes leftovers, which may be what fills a store, and finds out whether it can be written to. */
  prepare(options: { systemIdentifier: string; now: Date }): Promise<void>
  /** Removes everything of a backup that failed. */
  remove(id: string): Promise<void>
  recordFailure(failure: Failure): Promise<void>
  makeRoom(): Promise<Room>
  /** The first that may tell who claims a slot. */
  claiming(): Store | undefined
  /** For what calls a store in its own way. */
  within<T>(call: () => Promise<T>): Promise<T>
  /** A backup was made. Removes what there is of it in the stores that failed, and says which those are. */
  noteMade(manifest: Manifest): Promise<{ having: string[]; lost: { store: string; error: AppError }[] }>
}

type Known = { store: Bounded; catalog: Catalog; policy: PrunePolicy }

/** @param options with the signal of the time limit */
export function openStores(options: BackupOptions): BackupStores {
  const { database, log, signal, now } = options
  const known = knownOf(options)
  const places = openPlaces(
    known.map(({ store }) => store),
    { log, signal },
  )
  const of = (store: Store) => known.find((one) => one.store === store)!
  const listed = () => places.live().map((store) => of(store))
  const found = () =>
    mergeBackups(listed().map(({ store, catalog }) => ({ store, name: store.name, backups: catalog.known(database) })))
  return {
    places,
    async look() {
      await places.each(async (store) => {
        await of(store).store.within(() => of(store).catalog.update(database))
      })
      return found().map(({ backup }) => backup)
    },
    having: (backup) => backup.stores ?? [],
    copyOf: ({ id }) => found().find(({ backup }) => backup.id === id)?.stores[0] ?? places.live()[0]!,
    prepare: ({ systemIdentifier, now }) =>
      places.each(async (store) => {
        const { catalog } = of(store)
        const complete = new Set(catalog.known(database).map(({ id }) => id))
        const unfinished = catalog.unfinished(database)
        await sweepLeftovers(store, database, { systemIdentifier, complete, unfinished, now, log })
        await store.checkWritable()
      }),
    remove: async (id) => void (await inEach(known, ({ store }) => removeAll(store, database, id))),
    recordFailure: async (failure) => void (await inEach(known, ({ store }) => recordFailure(store, failure))),
    claiming: () => places.live().find(({ create }) => create !== undefined),
    within: (call) => of(places.live()[0]!).store.within(call),
    async makeRoom() {
      const rooms: Room[] = []
      for (const { store, catalog, policy } of listed())
        rooms.push(await store.within(() => makeRoom(catalog, policy, { database, log, signal, now: now() })))
      return {
        deleted: rooms.flatMap(({ deleted }) => deleted),
        said: [...new Set(rooms.map(({ said }) => said))].join('; '),
      }
    },
    async noteMade(manifest) {
      for (const { catalog } of listed()) catalog.noteMade(manifest)
      const lost = places.lost()
      for (const { store } of lost) await forget(store, { database, id: manifest.id }, options)
      return {
        having: places.live().map((store) => store.name),
        lost: lost.map(({ store, error }) => ({ store: store.name, error })),
      }
    },
  }
}

function knownOf(options: BackupOptions): Known[] {
  const { store, catalog, secrets, signal, name, retention, keepIn = [], goesTo, kind = 'logical' } = options
  const catalogs = partsOf(catalog ?? openCatalog(store, () => secrets))
  const known = eachOf(store).map((one, i) => ({
    store: until(one, signal),
    catalog: catalogs[i]!,
    policy: policyIn({ name, ...retention }, keepIn[i]),
  }))
  return kind === 'logical' ? known.filter((_, i) => goesTo?.[i] ?? true) : known
}

/** A store that failed may answer slowly, or not at all: the backup is made, and does not wait for it. */
const forgetWithinMs = 20_000

async function forget(
  store: Store,
  { database, id }: { database: string; id: string },
  { log }: Pick<BackupOptions, 'log'>,
): Promise<void> {
  try {
    await removeAll(until(store, AbortSignal.timeout(forgetWithinMs)), database, id)
  } catch (error) {
    log.debug(
      { store: store.name, problem: (error as Error).message },
      'what was started in the store that failed stays until the next backup',
    )
  }
}
