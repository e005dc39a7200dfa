import type { Backup } from '../archive/backup.ts'
import { type Catalog, partsOf } from '../archive/catalog-type.ts'
import { type Copied, copyBackup } from '../backup/copy.ts'
import { planCopies } from '../backup/copy-plan.ts'
import { policyIn } from '../backup/prune-candidates.ts'
import { readSecrets } from '../config/keys.ts'
import { isSameStore } from '../config/predicates.ts'
import type { BackupConfig } from '../config/schema.ts'
import { goesTo, type StorePlace, storesOf } from '../config/stores.ts'
import type { Context } from '../run/context.ts'
import type { Store } from '../store/store.ts'

type Copying = {
  /** Of everything that it may be copied from; listed before. */
  catalog: Catalog
  to: Store
}

/** The backups of a database that one of the configured stores lacks, by what was listed last. */
export function lackingIn(
  { loaded: { config } }: Pick<Context, 'loaded'>,
  catalog: Catalog,
  { database, part }: { database: string; part: Catalog },
): Backup[] {
  const place = storesOf(config.backup)[partsOf(catalog).indexOf(part)]
  return wantedIn(config.backup, place!, catalog.known(database), part.known(database))
}

/** The backups that a store lacks and that go there, by the rules of the store. To one that is not configured, those of every schedule go. */
export function wantedIn(
  backup: BackupConfig,
  place: StorePlace,
  all: readonly Backup[],
  there: readonly Backup[],
): Backup[] {
  const isConfigured = storesOf(backup).some(({ url }) => isSameStore(url, place.url))
  const meant = all.filter(({ series }) => !isConfigured || goesTo(backup, series?.schedule, place))
  return planCopies(meant, there, policyIn(backup, place.keep), new Date())
}

/** Copies one backup. */
export function copyOne(
  { loaded: { config, env, baseDir }, log, signal, out }: Context,
  { database, id }: Pick<Backup, 'database' | 'id'>,
  { catalog, to }: Copying,
  onProgress?: (done: number, total: number) => void,
): Promise<Copied> {
  return copyBackup(
    { database, id },
    {
      ...{ from: catalog.store, to, log, signal, onProgress },
      secrets: readSecrets(config, env, baseDir),
      now: () => new Date(),
      warn: out.warn,
    },
  )
}
