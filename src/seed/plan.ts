// pure
import type { Change } from '../plan.ts'
import type { LoadedSeed, Seed } from './types.ts'

/** One seed to load, and why. */
export type SeedStep = {
  seed: Seed
  change: Change
  /** Steps that follow each other and have the same number are loaded in one transaction, because their tables refer to each other. */
  together?: number | undefined
  /** What to do when a row refers to one that is loaded later, and neither order of the steps would help. */
  cycle?: string | undefined
}

/**
 * Chooses the seeds to load, in their order. Changes nothing.
 * @param seeds   with checksums, if they were loaded before
 * @param history the seeds that were loaded before, in any order
 * @param force   also load seeds that have not changed
 * @param differs why a table that `sync` has written has to be compared with its file, by seed
 */
export function planSeeds(
  seeds: Seed[],
  history: LoadedSeed[],
  { force = false, differs = new Map<string, string>() } = {},
): SeedStep[] {
  const loaded = new Map(history.map(({ name, checksum }) => [name, checksum]))
  return seeds.flatMap((seed) => {
    const reason = reasonFor(seed, loaded.get(seed.name), force) ?? differs.get(seed.name)
    return reason === undefined ? [] : [{ seed, change: { action: 'load', object: `seed ${seed.name}`, reason } }]
  })
}

function reasonFor({ checksum }: Seed, before: string | undefined, force: boolean): string | undefined {
  if (before === undefined) return 'not loaded yet'
  if (ofFile(before) !== checksum) return 'changed since it was loaded'
  return force ? 'forced' : undefined
}

/** What is remembered of a seed: the checksum of its file and, with `sync`, what its table was like afterwards. */
export const remembered = (checksum: string, print: string | undefined) =>
  print === undefined ? checksum : `${checksum}:${print}`

/** The checksum of the file in what is remembered. */
export const ofFile = (remembered: string) => remembered.split(':')[0]!

/** What the table was like, if that is remembered. */
export const ofTable = (remembered: string): string | undefined => remembered.split(':')[1]
