import type { Store } from './store.ts'

/** What uploads left behind that were not finished, or are not yet: their keys, and folders without anything. */
export type Unfinished = { files: { key: string; modifiedAtMs: number }[]; emptyFolders: string[] }

/** The two halves of a sweep, between which it is decided what goes. */
export type Sweeping = {
  unfinished(prefix: string): Promise<Unfinished>
  clear(left: Unfinished): Promise<void>
}

/** A store's `sweep`, out of its two halves. */
export async function sweepWith(
  { unfinished, clear }: Sweeping,
  prefix: string,
  olderThanMs: Parameters<Store['sweep']>[1],
): Promise<string[]> {
  const ageOf = typeof olderThanMs === 'number' ? () => olderThanMs : olderThanMs
  const { files, emptyFolders } = await unfinished(prefix)
  const old = files.filter(({ key, modifiedAtMs }) => Date.now() - modifiedAtMs >= ageOf(key))
  if (old.length + emptyFolders.length > 0) await clear({ files: old, emptyFolders })
  return old.map(({ key }) => key)
}
