// pure
import { isName, partial, partsOf } from './keys.ts'
import type { Stored } from './store.ts'

/** A remote of rclone's own configuration, and a folder in it: `nas:` and `backups/shop`. */
export type Place = { name: string; remote: string; root: string }

/** @param url `rclone://REMOTE/PATH`; a path that begins with another `/` is absolute where the remote has such paths */
export function placeOf(url: string): Place {
  const [, remote = '', path = ''] = /^rclone:\/\/([^/]+)\/?(.*)$/.exec(url) ?? []
  const root = path.replace(/\/+$/, '')
  return { name: `rclone://${remote}/${root}`, remote, root }
}

/** A path as rclone takes it. @param below a key, or a prefix */
export const pathOf = ({ remote, root }: Place, below = ''): string =>
  `${remote}:${[root, below].filter(Boolean).join('/')}`

/** A key as a path below the root, and the same for a prefix. Rejects what `list` would skip. */
export const checked = (key: string): string => partsOf(key).join('/')

/** One line of `rclone lsjson`; undefined for one that is no object of ours. */
export type Line = Stored & { unfinished: boolean }

/**
 * A line of `rclone lsjson`, which writes an object a line between brackets.
 * @param below where it was listed: the paths are relative to it
 */
export function parseLine(line: string, below: string): Line | undefined {
  const text = line.trim().replace(/,$/, '')
  if (!text.startsWith('{')) return undefined
  const { Path, Size, ModTime } = JSON.parse(text) as { Path: string; Size: number; ModTime: string }
  const key = [below, Path].filter(Boolean).join('/')
  if (!key.split('/').every(isName)) return undefined
  return { key, sizeBytes: Size, modifiedAt: new Date(ModTime), unfinished: partial.test(key) }
}
