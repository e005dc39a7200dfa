import { realpathSync } from 'node:fs'
import { relative } from 'node:path'
import { type AppError, usage } from '../errors.ts'
import { cannotRead } from './files.ts'
import type { Format } from './format.ts'

/**
 * Each file must count once: no folder may be there twice, under whatever path, and none may be inside another one that includes its
 * files.
 * @throws {AppError} `usage`
 */
export function refuseOverlap({ name, readsBelow }: Format, dirs: readonly string[]): void {
  const folders = dirs.map((path) => ({ path, real: realPath(path) }))
  for (const [i, one] of folders.entries()) {
    const twin = folders.slice(i + 1).find(({ real }) => real === one.real)
    if (twin) throw twice(one.path, twin.path)
    const inside = folders.find(({ real }) => isBelow(one.real, real) && readsBelow?.(relative(one.real, real)))
    if (inside) throw readAnyway(name, one.path, inside.path)
  }
}

function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch (cause) {
    throw cannotRead(path)(cause)
  }
}

const isBelow = (folder: string, path: string) => path.startsWith(folder === '/' ? folder : `${folder}/`)

const twice = (one: string, other: string): AppError =>
  usage(one === other ? `migrate.dir has ${one} twice` : `${one} and ${other} in migrate.dir are the same folder`, {
    hint: 'remove one of them',
  })

const readAnyway = (format: string, folder: string, inside: string): AppError =>
  usage(`${inside} is inside ${folder}, and the format ${format} reads it with that folder`, {
    hint: `remove ${inside} from migrate.dir`,
  })
