// pure
import type { Change } from '../plan.ts'
import type { LoadedSeed, Seed } from './types.ts'

/** One seed to load, and why. */
export type SeedStep = { seed: Seed; change: Change }

/**
 * Chooses the seeds to load, in their order. Changes nothing.
 * @param history the seeds that were loaded before, in any order
 * @param force   also load seeds that have not changed
 */
export function planSeeds(seeds: Seed[], history: LoadedSeed[], { force = false } = {}): SeedStep[] {
  const loaded = new Map(history.map(({ name, checksum }) => [name, checksum]))
  return seeds.flatMap((seed) => {
    const reason = reasonFor(seed, loaded.get(seed.name), force)
    return reason === undefined ? [] : [{ seed, change: { action: 'load', object: `seed ${seed.name}`, reason } }]
  })
}

function reasonFor({ checksum }: Seed, before: string | undefined, force: boolean): string | undefined {
  if (before === undefined) return 'not loaded yet'
  if (before !== checksum) return 'changed since it was loaded'
  return force ? 'forced' : undefined
}
