// pure
import type { SlotRecord } from '../archive/slot-records.ts'
import { visible } from '../text.ts'
import { renderBytes, seconds } from '../units.ts'
import { answersOf } from './answers.ts'
import { age, instant, utc } from './instants.ts'
import type { DatabaseBackups, Overview } from './overview.ts'

const width = 80
const column = 13
/** So many backups and migrations are shown on one screen. */
const newest = 5

/** The screen of `status`: lines of at most 80 characters, words longer than that aside. Pure. */
export function renderOverview(overview: Overview): string[] {
  const { verdict, database, now, conditions, declared, backups } = overview
  return [
    `${verdict}  ${visible(database)}  ${utc(now.toISOString())}`,
    '',
    ...answersOf(overview).flatMap(({ question, lines, type = [] }) => [
      question,
      ...lines.flatMap((line) => wrapped(visible(line), 2)),
      ...type.map((command) => `  $ ${visible(command)}`),
    ]),
    ...section('Open conditions', conditions.length > 1 ? conditions.flatMap(conditionLines(now)) : []),
    ...section('Slots (# made  ~ late  x failed  - missed)', backups.flatMap(stripLines)),
    ...section('Backups', backups.flatMap(backupLines(now))),
    ...section(
      'Migrations',
      (declared?.migrations ?? [])
        .slice(-newest)
        .map(({ name, appliedAt, durationMs }) =>
          row([
            visible(name),
            appliedAt === null ? 'at an unknown time' : utc(appliedAt),
            durationMs === null ? '' : seconds(durationMs),
          ]),
        ),
    ),
    '',
  ]
}

const section = (title: string, lines: string[]) => (lines.length === 0 ? [] : ['', title, ...lines])

const conditionLines =
  (now: Date) =>
  ({ name, severity, message, hint, since, database, schedule }: Overview['conditions'][number]): string[] => [
    ...wrapped(
      visible(
        [name, severity === 'warning' ? 'warning' : '', database ?? '', schedule ?? '']
          .filter((part) => part !== '')
          .join(', '),
      ),
      2,
    ),
    ...wrapped(visible(`${message}; since ${instant(since, now)}`), 4),
    ...wrapped(visible(`hint: ${hint}`), 4),
  ]

const marks: Record<SlotRecord['state'], string> = { made: '#', late: '~', failed: 'x', missed: '-' }

function stripLines({ database, series }: DatabaseBackups): string[] {
  return series
    .filter(({ slots }) => slots.length > 0)
    .map(({ schedule, slots }) =>
      row([
        visible(schedule === '' ? database : `${database} ${schedule}`),
        slots.map(({ state }) => marks[state]).join(''),
        `to ${utc(slots.at(-1)!.slot)}`,
      ]),
    )
}

const backupLines =
  (now: Date) =>
  ({ listed, more, database }: DatabaseBackups): string[] => {
    const shown = listed.slice(0, newest)
    const rest = more + listed.length - shown.length
    return [
      ...shown.flatMap(({ id, at, sizeBytes, durationMs, state, kept }) => [
        row([id, age(at, now), sizeBytes === undefined ? '?' : renderBytes(sizeBytes), took(durationMs)]),
        ...wrapped(`${state}; kept: ${kept === '' ? 'not known' : kept}`, 4),
      ]),
      ...(rest > 0 ? [`  and ${rest} more of ${visible(database)}: pgbosun backup list`] : []),
    ]
  }

const took = (ms: number | undefined) => (ms === undefined ? '' : seconds(ms))

const row = (cells: string[]) =>
  `  ${cells
    .filter((cell) => cell !== '')
    .map((cell) => cell.padEnd(column))
    .join('  ')}`.trimEnd()

/** Lines of whole words. */
function wrapped(text: string, indent: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && indent + line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line].map((one) => ' '.repeat(indent) + one)
}
