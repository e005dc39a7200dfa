// pure
/** An unfinished upload in a folder: `dump.zst.1a2b3c4d.partial`. */
export const partial = /\.partial$/

/** A store may contain other things: `lost+found`, snapshots, files of a person. */
export const isName = (name: string) => /^[A-Za-z0-9_%-][A-Za-z0-9_.%-]*$/.test(name)

/** The parts of a key or a prefix. Rejects names that `list` would skip. */
export function partsOf(key: string): string[] {
  const parts = key.split('/').filter((part, i, all) => part !== '' || i < all.length - 1)
  const wrong = parts.find((part) => !isName(part) || partial.test(part))
  if (wrong !== undefined) throw new Error(`not a key: ${key}`)
  return parts
}
