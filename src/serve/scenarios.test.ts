import { describe, expect, test } from 'vitest'
import { states } from '../../test/support/overviews.ts'
import { commandsIn } from '../check/answers.ts'
import { type BackupFindings, backupConditions } from '../check/backup-conditions.ts'
import { type Condition, conditionFields } from '../check/condition-catalogue.ts'
import { type connectionHints, type DatabaseFindings, databaseConditions } from '../check/health-conditions.ts'
import type { Overview } from '../check/overview.ts'
import { renderOverview } from '../check/overview-text.ts'
import { verdictOf } from '../check/verdict.ts'
import { commands } from '../cli/commands.ts'
import type { Log } from '../log.ts'
import { replaceConditions } from './conditions.ts'
import { posted } from './notify/render.ts'
import { renderPage } from './page/page.ts'
import { newBackupState, type ServeState } from './state.ts'

const now = states.safe.now
const since = '2026-03-05T07:30:00.000Z'

const ofDatabase = (found: Partial<DatabaseFindings>): Condition[] => {
  const nothing = {
    findings: undefined,
    pending: [],
    problems: [],
    drift: [],
    lockedOut: [],
    assertions: [],
    leftovers: [],
  }
  return databaseConditions({ ...nothing, ...found }, () => since)
}
const ofBackups = (found: Partial<BackupFindings>): Condition[] =>
  backupConditions([{ ...newBackupState('shop'), ...found }], [], since)
const connection = (name: keyof typeof connectionHints, message: string) =>
  ofDatabase({ connection: { name, message } })
const failedAt = { name: '', retryAt: '2026-03-05T09:00:00.000Z', nextRunAt: null, overdue: null }

/** Ten nights, as the facts of each are. */
const nights: Record<string, Condition[]> = {
  'wrong password after a rotation': connection(
    'database-refused',
    'db:5432/shop: password authentication failed for user "shop"',
  ),
  'full disk': ofBackups({
    lastError: 'the backup of shop failed: file:///backups: no space left on device',
    schedules: [{ ...failedAt, lastError: 'x', since: { 'backup-failed': '2026-03-05T02:00:00.000Z' } }],
  }),
  'store unreachable': ofBackups({ storeProblem: 's3://backups: connect ECONNREFUSED 10.0.0.9:9000' }),
  'backup overdue': ofBackups({
    overdue: 'the one scheduled for 2026-03-05T02:00:00.000Z is missing; the newest is 1 d 6 h old',
    since: { 'backup-overdue': '2026-03-05T02:00:00.000Z' },
  }),
  'damaged backup': ofBackups({
    damaged: ['20260304T020000Z-1cb84ba0'],
    since: { 'backup-damaged': '2026-03-05T02:00:20.000Z' },
  }),
  'migration failed': ofDatabase({
    pending: ['004_prices'],
    failedRun: { at: '2026-03-05T07:00:00.000Z', error: 'migration 004_prices failed: column "price" does not exist' },
  }),
  'migration pending too long': ofDatabase({ pending: ['004_prices', '005_taxes'] }),
  'drift by hand': ofDatabase({
    drift: [{ action: 'revoke', object: 'select on table orders from intern', reason: 'not declared' }],
  }),
  'server in recovery': connection('database-in-recovery', 'db:5432/shop is a standby: it is in recovery'),
  'clock wrong by an hour': ofDatabase({
    skew: 'the clock of this machine is 1h behind that of the server: set it, because schedules, ages and retention depend on it',
  }),
}

/** Every place where somebody may read of it. */
function places(conditions: Condition[]): Record<string, string> {
  const overview: Overview = { ...states.safe, closed: [], conditions, verdict: verdictOf(conditions) }
  const logged: unknown[] = []
  const note = (...line: unknown[]) => logged.push(line)
  const state = { conditions: [], looked: new Set() } as unknown as ServeState
  const names = conditions.map(({ name }) => name)
  replaceConditions(state, names, conditions, { log: { warn: note, info: note } as unknown as Log, now })
  const messages = conditions.map((condition) =>
    posted('json', { event: 'opened', key: 'k', condition }, { now, url: 'https://example.org/', secret: undefined }),
  )
  return {
    status: renderOverview(overview).join('\n'),
    page: renderPage(overview),
    'status.json': JSON.stringify(conditions.map(conditionFields)),
    log: JSON.stringify(logged),
    notification: JSON.stringify(messages),
  }
}

/** What is left of a text when lines, quotes and escapes are not looked at. */
const bare = (text: string) =>
  text
    .replaceAll(/&(?:quot|#39);|[\\"'`\s]/g, '')
    .replaceAll('&gt;', '>')
    .replaceAll('&lt;', '<')
    .toLowerCase()

describe.each(Object.entries(nights))('%s', (_, conditions) => {
  test('is told everywhere with the same cause and the same next step', () => {
    expect(conditions.length).toBeGreaterThan(0)
    const told = places(conditions)
    for (const { name, message, hint } of conditions)
      for (const [place, text] of Object.entries(told))
        for (const part of [name, message, hint]) expect(bare(text), `${name} in ${place}`).toContain(bare(part))
  })

  test('is one screen, whose next step can be typed', () => {
    const [verdict, , ...rest] = places(conditions).status!.split('\n')
    const end = rest.findIndex((line) => line.startsWith('Slots'))
    expect([verdict, ...rest.slice(0, end).filter((line) => line !== '')].join('\n')).toMatchSnapshot()
    for (const command of conditions.flatMap(({ hint }) => commandsIn(hint))) {
      const [, one = '', two = ''] = command.split(' ')
      expect(
        [one, `${one} ${two}`].some((name) => name in commands),
        command,
      ).toBe(true)
    }
  })
})

test('of each of them somebody is told a command', () => {
  const without = Object.entries(nights).filter(([, all]) => all.every(({ hint }) => commandsIn(hint).length === 0))
  expect(without.map(([name]) => name)).toEqual([])
})
