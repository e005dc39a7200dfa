// pure
import { counted, renderAge, renderBytes, seconds } from '../units.ts'
import { instant } from './instants.ts'
import type { DatabaseBackups, Overview } from './overview.ts'

/** A question of somebody who was woken up, and the answer: some lines, and what to type. */
export type Answer = { question: string; lines: string[]; type?: string[] }

/** So many databases are told of one by one. */
const most = 8

/** The five answers, in the order in which they are asked. Pure. */
export function answersOf(overview: Overview): Answer[] {
  return [
    { question: 'Is it safe?', lines: safe(overview) },
    { question: 'Can I restore?', lines: ofEach(overview, canRestore) },
    { question: 'To when?', lines: ofEach(overview, toWhen) },
    { question: 'How long will it take?', lines: ofEach(overview, howLong) },
    whatNow(overview),
  ]
}

/** The verdict with its reason. */
function safe({ verdict, conditions, unlooked, now, phase }: Overview): string[] {
  const [worst, ...others] = conditions
  const reason =
    worst === undefined
      ? []
      : [
          `${worst.name}: ${worst.message}`,
          sinceWhen(worst.since, now),
          ...(others.length > 0 ? [`and ${others.length} more, below`] : []),
        ]
  return [
    ...(verdict === 'SAFE' ? ['Nothing is wrong, as far as anything was looked at.'] : reason),
    ...(phase === 'starting' ? ['serve has just been started and is still looking.'] : []),
    ...(unlooked.length > 0 ? [`Not looked at: ${unlooked.join('; ')}.`] : []),
  ]
}

const sinceWhen = (since: string, now: Date) => `since ${instant(since, now)}`

function ofEach({ backups, now }: Overview, say: (one: DatabaseBackups, now: Date) => string): string[] {
  if (backups.length === 0) return ['No: no backups are configured (backup.schedule), and none was found.']
  const lines = backups.slice(0, most).map((one) => {
    const said = one.unknown === undefined ? say(one, now) : `Not known: ${one.unknown}`
    return backups.length > 1 ? `${one.database}: ${said}` : said
  })
  return backups.length > most ? [...lines, `and ${backups.length - most} more databases`] : lines
}

function canRestore({ newest, restoreTest, store, running }: DatabaseBackups, now: Date): string {
  if (!newest) return `No: there is no good backup in ${store}${running ? '; the first is being made' : ''}.`
  const verified =
    newest.verifiedAt === undefined ? 'never read back' : `read back and good ${instant(newest.verifiedAt, now)}`
  const tested = !restoreTest
    ? 'no backup was ever restored for a test'
    : restoreTest.ok
      ? `restored for a test ${instant(restoreTest.at, now)} on ${restoreTest.server}`
      : `the last test restore FAILED, ${instant(restoreTest.at, now)}`
  return `Yes, from ${newest.id}: ${verified}; ${tested}.`
}

function toWhen({ newest, oldestAt, nextRunAt }: DatabaseBackups, now: Date): string {
  if (!newest) return 'To nothing.'
  const lost = renderAge(Math.max(0, now.getTime() - Date.parse(newest.at)))
  const next = nextRunAt === undefined ? 'no next one is scheduled' : `the next is due ${instant(nextRunAt, now)}`
  const from = oldestAt === undefined || oldestAt === newest.at ? '' : `; the oldest is of ${instant(oldestAt, now)}`
  return `To ${instant(newest.at, now)}: what was written in the last ${lost} would be lost${from}. ${capital(next)}.`
}

function howLong({ newest, restoreTest, bytesPerSecond }: DatabaseBackups): string {
  if (!newest) return 'There is nothing to restore.'
  if (restoreTest?.ok && restoreTest.durationMs !== null && restoreTest.id === newest.id)
    return `${seconds(restoreTest.durationMs)}: so long it took for a test on ${restoreTest.server}.`
  if (bytesPerSecond === undefined || newest.sizeBytes === undefined)
    return 'Not known: no backup was ever restored for a test.'
  const ms = (newest.sizeBytes / bytesPerSecond) * 1000
  return `About ${seconds(ms)} (estimate): ${renderBytes(newest.sizeBytes)} at the ${renderBytes(bytesPerSecond)}/s of the last test.`
}

/** The hint of the worst condition; where nothing is wrong, what comes next by itself. */
function whatNow({ conditions, backups, declared, now, verdict }: Overview): Answer {
  const question = 'What do I do now?'
  const [worst] = conditions
  if (worst)
    return {
      question,
      lines: [capital(worst.hint.replace(/([^.])$/, '$1.'))],
      type: commandsIn(worst.hint),
    }
  if (verdict === 'UNKNOWN') return { question, lines: ['Wait a minute, then look again.'] }
  const next = backups.flatMap(({ nextRunAt }) => nextRunAt ?? []).sort()[0]
  const test = backups.flatMap(({ nextTestAt }) => nextTestAt ?? []).sort()[0]
  return {
    question,
    lines: [
      'Nothing.',
      ...(next === undefined ? [] : [`The next backup starts ${instant(next, now)}.`]),
      ...(test === undefined ? [] : [`The next test restore starts ${instant(test, now)}.`]),
      ...((declared?.pending.length ?? 0) > 0
        ? [`${counted(declared!.pending.length, 'migration')} to apply with \`pgbosun up\`.`]
        : []),
    ],
  }
}

/** The commands in a hint, ready to type. Pure. */
export const commandsIn = (hint: string): string[] =>
  [...hint.matchAll(/`(pgbosun [^`]+)`|: (pgbosun [^`;]+)$/g)].map(([, quoted, last]) => (quoted ?? last ?? '').trim())

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1)
