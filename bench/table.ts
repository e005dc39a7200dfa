import type { Outcome, Race, Target } from './rounds.ts'

/** The median; of an even number of values the mean of the middle two. */
export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const half = sorted.length / 2
  return (sorted[Math.floor(half)]! + sorted[Math.ceil(half) - 1]!) / 2
}

/** Median over the rounds of the ratio within a round, which does not change if the machine becomes slower. */
export const ratio = (outcome: Outcome, reference: Outcome, of: 'wallMs' | 'cpuMs' = 'wallMs') =>
  median(outcome.runs.map((run, round) => run[of] / reference.runs[round]![of]))

/** What a target limits, as a ratio. */
const reachedOf = ({ what }: Target, outcome: Outcome, reference: Outcome) =>
  what === 'size' ? (outcome.resultMb ?? 0) / (reference.resultMb ?? 0) : ratio(outcome, reference, what && 'cpuMs')

/** A race as Markdown: a table, the targets beside what was reached, and how much the runs differ. */
export function renderRace({ title, references, targets, notes = [] }: Race, outcomes: Outcome[]): string {
  const find = (name: string) => outcomes.find((outcome) => outcome.name === name)
  const compared = references.map(find).filter((reference) => reference !== undefined)
  const sized = outcomes.some(({ resultMb }) => resultMb !== undefined)
  const rows = outcomes.map((outcome) => {
    const wall = outcome.runs.map(({ wallMs }) => wallMs)
    return [
      outcome.name,
      milliseconds(median(wall)),
      `${milliseconds(Math.min(...wall))}–${milliseconds(Math.max(...wall))}`,
      ...compared.map((reference) => ratio(outcome, reference).toFixed(2)),
      milliseconds(median(outcome.runs.map(({ cpuMs }) => cpuMs))),
      outcome.peakMb?.toFixed(0) ?? '–',
      ...(sized ? [outcome.resultMb?.toFixed(1) ?? '–'] : []),
    ]
  })
  const header = [
    '',
    'ms',
    'from–to',
    ...compared.map(({ name }) => `× ${name}`),
    'CPU ms',
    'peak MB',
    ...(sized ? ['result MB'] : []),
  ]
  const reached = targets.flatMap((target) => {
    const { of, to, atMost, what } = target
    const [outcome, reference] = [find(of), find(to)]
    if (!outcome || !reference) return []
    const unit = what === undefined ? '' : what === 'cpu' ? ' (processor time)' : ' (size)'
    return [[of, `≤ ${atMost} × ${to}${unit}`, reachedOf(target, outcome, reference).toFixed(atMost < 0.1 ? 3 : 2)]]
  })
  const runs = outcomes.flatMap((outcome) => outcome.runs)
  const busy = runs.filter(({ quiet }) => !quiet).length
  const sections = [
    `## ${title}`,
    renderTable(header, rows),
    ...(reached.length > 0 ? [renderTable(['', 'target', 'this run'], reached)] : []),
    ...(notes.length > 0 ? [notes.map((note) => `- ${note}`).join('\n')] : []),
    `${outcomes[0]?.runs.length} round(s); ${busy} of ${runs.length} runs began on a busy machine.`,
  ]
  return `${sections.join('\n\n')}\n`
}

const milliseconds = (ms: number) => (ms < 100 ? ms.toFixed(1) : Math.round(ms).toLocaleString('en'))

function renderTable(header: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(header), line(header.map((_, i) => (i === 0 ? '---' : '--:'))), ...rows.map(line)].join('\n')
}
