// pure
/** A sequence, as SQL, with the columns whose values come from it. */
export type SequenceUse = { sequence: string; columns: { name: string; text: boolean }[] }

/** Several columns may get their values from one sequence. */
export function sequencesOf(columns: readonly { name: string; text: boolean; sequences: string[] }[]): SequenceUse[] {
  const names = new Set(columns.flatMap(({ sequences }) => sequences))
  return [...names].sort().map((sequence) => ({
    sequence,
    columns: columns.filter(({ sequences }) => sequences.includes(sequence)).map(({ name, text }) => ({ name, text })),
  }))
}
