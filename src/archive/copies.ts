import { AppError, hasReason } from '../errors.ts'
import type { Store } from '../store/store.ts'
import { backupPrefix } from './layout.ts'
import { copyOf } from './several.ts'

type Which = { database: string; id: string }

/**
 * Works with a backup that may be in several stores: if the copy that is read is damaged, or its store cannot be read, all of it is done
 * again with the next one. For work that such an error leaves nothing of.
 */
export async function fromAnyCopy<T>(
  store: Store,
  which: Which,
  { warn }: { warn(text: string): void },
  work: () => Promise<T>,
): Promise<T> {
  for (;;)
    try {
      return await work()
    } catch (error) {
      if (!isOfCopy(error)) throw error
      const { name } = copyOf(store, which)
      const next = store.several?.next(backupPrefix(which.database, which.id))
      if (!next) throw error
      warn(`the copy in ${name} cannot be used: ${error.message}; trying again with the one in ${next.name}`)
    }
}

const isOfCopy = (error: unknown): error is AppError =>
  (error instanceof AppError && error.kind === 'corrupt' && error.reason !== 'no-identity') ||
  hasReason(error, 'store-unreadable')

/** The error of a store that could not be listed: then that there is no backup is not known. */
export const unreadError = ({ several }: Store): Error | undefined => several?.unread.values().next().value

/** What to say of stores that could not be listed. */
export const unreadWarnings = ({ several }: Store): string[] =>
  [...(several?.unread ?? [])].map(
    ([{ name }, { message }]) => `${name} cannot be read, and may have newer backups: ${message}`,
  )
