import { alertOf, rules } from '../../scripts/alert-rules.ts'
import { nextSlot, slotsBetween } from '../../src/backup/schedule.ts'
import { parseCron } from '../../src/config/cron.ts'
import { deadlineOf } from '../../src/serve/deadline.ts'

/** One case of `promtool test rules`: what was scraped each minute, and which alerts fire when. */
export type Case = {
  name: string
  series: Record<string, string>
  /** At a minute: the alerts that fire then, of all rules. */
  at: { minute: number; fires: string[] }[]
}

const minutes = (text: string) => (text.endsWith('h') ? 60 : 1) * Number.parseInt(text, 10)

/** What a serve says that is well, so that nothing else fires. */
const well: Record<string, string> = {
  'up{job="pgbosun",instance="a"}': '1',
  'pgbosun_build_info{job="pgbosun",instance="a",version="1",pg_client="18"}': '1',
  'pgbosun_verdict{job="pgbosun",instance="a",verdict="UNKNOWN"}': '0',
  'pgbosun_backup_deadline_timestamp_seconds{job="pgbosun",instance="a",database="shop",kind="logical"}': '9999999',
  'pgbosun_restore_test_deadline_timestamp_seconds{job="pgbosun",instance="a",database="shop"}': '9999999',
  'pgbosun_backup_last_size_bytes{job="pgbosun",instance="a",database="shop",kind="logical"}': '1000',
  'pgbosun_store_readable{job="pgbosun",instance="a"}': '1',
}
const deadlineSeries = Object.keys(well)[3]!
const constant = (value: string | number) => `${value}x200`
const healthy = (change: Record<string, string> = {}) => ({
  ...Object.fromEntries(Object.entries(well).map(([name, value]) => [name, constant(value)])),
  ...change,
})
const without = (...parts: string[]) =>
  Object.fromEntries(Object.entries(healthy()).filter(([name]) => !parts.some((part) => name.startsWith(part))))

/** The rules that wait for a condition, while all of them are open, and while none is. */
function ofConditions(): Case[] {
  const waiting = rules.flatMap((rule) => {
    const [, condition] = /condition="([^"]+)"/.exec(rule.expr) ?? []
    return condition === undefined ? [] : [{ ...rule, condition, due: minutes(rule.for) }]
  })
  const series = (value: number) =>
    Object.fromEntries(
      waiting.map(({ condition, expr }) => [
        `pgbosun_condition{job="pgbosun",instance="a",condition="${condition}",database="shop",severity="${/severity="error"/.test(expr) ? 'error' : 'warning'}"}`,
        constant(value),
      ]),
    )
  const dues = [...new Set(waiting.map(({ due }) => due))].sort((a, b) => a - b)
  const firing = (minute: number) => waiting.filter(({ due }) => due <= minute).map(({ alert }) => alert)
  return [
    {
      name: 'each rule fires once its condition has lasted',
      series: healthy(series(1)),
      at: dues.flatMap((due) => [due - 1, due + 1]).map((minute) => ({ minute, fires: firing(minute) })),
    },
    {
      name: 'none does while conditions are known not to be open',
      series: healthy(series(0)),
      at: dues.map((due) => ({ minute: due + 5, fires: [] })),
    },
  ]
}

/** The deadline, each minute of a time in which a schedule runs; backups are made for each slot but those that are left out. */
function scheduled(
  text: string,
  zone: string,
  { from, hours, every, leaveOut }: { from: string; hours: number; every: number; leaveOut?: (slot: Date) => boolean },
): { values: string; base: Date } {
  const cron = parseCron(text)
  if (typeof cron === 'string') throw new Error(cron)
  const schedule = { cron, zone, jitterMs: 0 }
  const base = new Date(from)
  const startedAt = new Date(base.getTime() - 70 * 86_400_000)
  const slots = slotsBetween(cron, zone, startedAt, new Date(base.getTime() + hours * 3_600_000))
  const deadlines = Array.from({ length: (hours * 60) / every }, (_, i) => {
    const now = new Date(base.getTime() + i * every * 60_000)
    // a backup is made five minutes after its slot
    const covered = slots.findLast((slot) => slot.getTime() <= now.getTime() - 300_000 && !leaveOut?.(slot))
    const deadline = deadlineOf(schedule, covered && { covered, startedAt }, now)!
    // promtool starts at 1970
    return String((deadline.getTime() - base.getTime()) / 1000)
  })
  if (!nextSlot(cron, zone, base)) throw new Error('it has no slots')
  return { values: deadlines.join(' '), base }
}

/** @param every minutes between scrapes */
const schedules = (every: number): Case[] => {
  const inBerlin = { from: '2026-10-24T12:00:00Z', hours: 48, every }
  const monthly = { from: '2026-02-28T00:00:00Z', hours: 48, every }
  const at = (hours: number, fires: string[] = []) => ({ minute: hours * 60, fires })
  const overdue = [alertOf('backup-overdue')]
  const of = (made: { values: string }) => ({
    ...Object.fromEntries(Object.entries(healthy()).map(([name, value]) => [name, value.replace(/x.*/, 'x3000')])),
    [deadlineSeries]: made.values,
  })
  const nights: [string, number[]][] = [['30 2 * * *', [1, 8, 13.5, 14, 14.5, 20, 36, 37, 38, 39, 47]]]
  return [
    ...nights.map(([text, hours]) => ({
      name: 'the night in which an hour comes twice is no alert',
      series: of(scheduled(text, 'Europe/Berlin', inBerlin)),
      at: hours.map((hour) => at(hour)),
    })),
    {
      // 02:30 is 00:30 UTC in that night, which is 12.5 h after the start
      name: 'a backup that is missing in that night is an alert an hour and ten minutes after its slot',
      series: of(
        scheduled('30 2 * * *', 'Europe/Berlin', {
          ...inBerlin,
          leaveOut: (slot) => slot >= new Date('2026-10-25T00:30:00Z'),
        }),
      ),
      at: [at(13.5), { minute: 13.5 * 60 + 20, fires: overdue }, at(40, overdue)],
    },
    {
      name: 'the night in which an hour is missing is no alert',
      series: of(scheduled('30 2 * * *', 'Europe/Berlin', { from: '2026-03-28T12:00:00Z', hours: 48, every })),
      at: [12, 13, 14, 15, 16, 37, 38, 47].map((hour) => at(hour)),
    },
    {
      name: 'a monthly schedule is no alert in the weeks between, nor when it is made',
      series: of(scheduled('@monthly', 'UTC', monthly)),
      at: [1, 23, 24, 25, 26, 47].map((hour) => at(hour)),
    },
    {
      name: 'a monthly backup that is missing is an alert, and not a month later',
      series: of(
        scheduled('@monthly', 'UTC', { ...monthly, leaveOut: (slot) => slot >= new Date('2026-03-01T00:00:00Z') }),
      ),
      at: [at(25), { minute: 25 * 60 + 20, fires: overdue }],
    },
  ]
}

const others: Case[] = [
  { name: 'a serve that is well', series: healthy(), at: [{ minute: 100, fires: [] }] },
  {
    name: 'the process is gone, and Prometheus still knows where it was',
    series: {
      'up{job="pgbosun",instance="a"}': '1x10 0x200',
      'pgbosun_build_info{job="pgbosun",instance="a"}': '1x10 stale',
      [deadlineSeries]: '9999999x10 stale',
    },
    at: [
      { minute: 20, fires: [] },
      { minute: 40, fires: ['PgbosunAbsent', 'PgbosunAbsent'] },
    ],
  },
  { name: 'there never was a process', series: {}, at: [{ minute: 16, fires: ['PgbosunAbsent'] }] },
  {
    name: 'nothing is due',
    series: without('pgbosun_backup_deadline'),
    at: [
      { minute: 14, fires: [] },
      { minute: 16, fires: ['PgbosunNoDeadline'] },
    ],
  },
  {
    name: 'the store could not be read since the start: the deadline is a slot that has passed',
    series: healthy({
      [deadlineSeries]: constant(-3600),
      'pgbosun_store_readable{job="pgbosun",instance="a"}': constant(0),
      'pgbosun_verdict{job="pgbosun",instance="a",verdict="UNKNOWN"}': constant(1),
    }),
    at: [
      { minute: 9, fires: [] },
      { minute: 11, fires: ['PgbosunBackupOverdue'] },
      { minute: 16, fires: ['PgbosunBackupOverdue', 'PgbosunStoreUnreadable', 'PgbosunUnknown'] },
    ],
  },
  {
    name: 'a replica that has not read the store says nothing against one that has',
    series: healthy({ [deadlineSeries.replace('instance="a"', 'instance="b"')]: constant(-3600) }),
    at: [{ minute: 60, fires: [] }],
  },
  {
    name: 'test restores have a deadline too',
    series: healthy({
      'pgbosun_restore_test_deadline_timestamp_seconds{job="pgbosun",instance="a",database="shop"}': constant(600),
    }),
    at: [
      { minute: 10, fires: [] },
      { minute: 22, fires: ['PgbosunRestoreTestOverdue'] },
    ],
  },
  {
    name: 'a backup that is half as large as those of the week',
    series: healthy({
      'pgbosun_backup_last_size_bytes{job="pgbosun",instance="a",database="shop",kind="logical"}': '1000x100 100x100',
    }),
    at: [
      { minute: 99, fires: [] },
      { minute: 112, fires: ['PgbosunBackupShrank'] },
    ],
  },
]

/** Cases of minutes, and of days, with so many minutes between two scrapes. */
export const cases = (): { every: number; cases: Case[] }[] => [
  { every: 1, cases: [...ofConditions(), ...others] },
  { every: 10, cases: schedules(10) },
]

/** A file for `promtool test rules`: at each of those minutes, every rule either fires or does not. */
export const testFile = (rulesFile: string, { every, cases: all }: ReturnType<typeof cases>[number]) => ({
  rule_files: [rulesFile],
  evaluation_interval: `${every}m`,
  tests: all.map(({ series, at }) => ({
    interval: `${every}m`,
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    promql_expr_test: at.map(({ minute, fires }) => ({
      expr: 'sum by (alertname) (ALERTS{alertstate="firing"})',
      eval_time: `${minute}m`,
      exp_samples: [...Map.groupBy(fires, (name) => name)].map(([alertname, { length }]) => ({
        labels: `{alertname="${alertname}"}`,
        value: length,
      })),
    })),
  })),
})

/** Rules that no case makes fire. */
export const unfired = (all: ReturnType<typeof cases>): string[] => {
  const fired = new Set(all.flatMap(({ cases }) => cases.flatMap(({ at }) => at.flatMap(({ fires }) => fires))))
  return rules.map(({ alert }) => alert).filter((alert) => !fired.has(alert))
}
