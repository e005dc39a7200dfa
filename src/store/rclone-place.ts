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
  const { Path, Size, ModTime } = JSON.parse(withoutComma(line)) as { Path: string; Size: number; ModTime: string }
  const key = [below, Path].filter(Boolean).join('/')
  if (!key.split('/').every(isName)) return undefined
  return { key, sizeBytes: Size, modifiedAt: new Date(ModTime), unfinished: partial.test(key) }
}

const withoutComma = (line: string) => line.trim().replace(/,$/, '')

/** Follows the lines of `rclone lsjson`. What else is written there, by a script around it, is left out. */
export function readingList(): { isEntry(line: string): boolean; isWhole(): boolean } {
  let state: 'before' | 'in' | 'after' | 'cut' = 'before'
  return {
    isEntry(line) {
      const text = line.trim()
      if (state === 'before' && text === '[') state = 'in'
      else if (state === 'in' && text === ']') state = 'after'
      else if (state === 'in' && text.startsWith('{')) {
        if (isObject(withoutComma(text))) return true
        state = 'cut'
      }
      return false
    },
    isWhole: () => state === 'after',
  }
}

/** Whether it describes an object that `rclone lsjson` found. */
function isObject(text: string): boolean {
  const { Path, Size, ModTime } = (parseAnswer(text) ?? {}) as Record<string, unknown>
  return typeof Path === 'string' && typeof Size === 'number' && typeof ModTime === 'string'
}

/** What rclone answered as JSON; undefined if it is none. */
export function parseAnswer(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
