import { type Command, type Measurement, measure, peakMemory } from './measure.ts'

/** One run of a contestant. */
export type Trial = {
  command: Command
  /** Throws when the run did not do what it should have. */
  check?: () => Promise<void>
  /** The size of what it made. */
  resultBytes?: () => Promise<number>
}

/** A program in a race. */
export type Contestant = {
  name: string
  /** Prepares its next run: a database of its own, if it changes something. */
  next(): Promise<Trial>
}

/** `of` should take at most `atMost` times what `to` takes: of time by the clock, of processor time or of space. */
export type Target = { of: string; to: string; atMost: number; what?: 'cpu' | 'size' }

/** Programs that do the same work. */
export type Race = {
  title: string
  contestants: Contestant[]
  /** Names of the contestants that all are compared with. */
  references: string[]
  targets: Target[]
  /** An extra run of each beforehand, which warms the caches and measures the memory. */
  warmUp: boolean
  /** What else was found out. */
  notes?: string[]
}

/** The measurements of one contestant, one for each round. */
export type Outcome = { name: string; runs: Measurement[]; peakMb: number | undefined; resultMb: number | undefined }

/** Lets all contestants run once in every round; each round starts with a different one. */
export async function runRace(race: Race, rounds: number, logFile: string): Promise<Outcome[]> {
  const { contestants, warmUp } = race
  const outcomes = contestants.map(({ name }): Outcome => ({ name, runs: [], peakMb: undefined, resultMb: undefined }))
  for (let round = warmUp ? -1 : 0; round < rounds; round++) {
    process.stderr.write(`${race.title}: ${round < 0 ? 'warm-up' : `round ${round + 1} of ${rounds}`}\n`)
    for (const i of contestants.keys()) {
      const turn = (i + Math.max(round, 0)) % contestants.length
      const [contestant, outcome] = [contestants[turn]!, outcomes[turn]!]
      const { command, check, resultBytes } = await contestant.next()
      if (round < 0) outcome.peakMb = await peakMemory(command, logFile)
      else outcome.runs.push(await measure(command, logFile))
      await check?.()
      if (resultBytes) outcome.resultMb = (await resultBytes()) / 1_000_000
    }
  }
  return outcomes
}
