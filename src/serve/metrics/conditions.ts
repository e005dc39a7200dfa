// pure
import { type Condition, type ConditionName, conditionCatalogue } from '../../check/condition-catalogue.ts'
import { verdicts } from '../../check/verdict.ts'
import { isKnown } from '../conditions.ts'
import { verdictIn } from '../verdict.ts'
import type { MetricFacts } from './facts.ts'
import { type Family, type Sample, secondsOf } from './text.ts'

/** The verdict, and the conditions: 1 is open, 0 is known not to be, and what was not looked at is absent. */
export function conditionFamilies({ state }: MetricFacts): Family[] {
  const { verdict } = verdictIn(state)
  const open = Map.groupBy(state.conditions, keyOf)
  return [
    {
      ...{ name: 'pgbosun_verdict', type: 'gauge', help: 'The verdict: 1 for the one that holds, 0 for the others.' },
      samples: verdicts.map((one) => ({ labels: { verdict: one }, value: Number(one === verdict) })),
    },
    {
      ...{ name: 'pgbosun_safe', type: 'gauge', help: 'Whether the verdict is SAFE; absent while it is UNKNOWN.' },
      samples: verdict === 'UNKNOWN' ? [] : [{ value: Number(verdict === 'SAFE') }],
    },
    {
      ...{ name: 'pgbosun_condition', type: 'gauge' },
      help: '1 while a condition is open, 0 where it is known not to be; see docs/conditions.md.',
      samples: [...[...open.values()].map(openSample), ...closed(state, new Set(open.keys()))],
    },
    {
      ...{ name: 'pgbosun_condition_since_timestamp_seconds', type: 'gauge' },
      help: 'When an open condition started.',
      samples: [...open.values()].map((all) => ({
        labels: { condition: all[0]!.name, database: all[0]!.database ?? '' },
        value: Math.min(...all.map(({ since }) => secondsOf(since))),
      })),
    },
  ]
}

/** One series for all schedules of a database: names of roles and schedules are no labels. */
const keyOf = ({ name, database = '' }: Pick<Condition, 'name' | 'database'>) => JSON.stringify([name, database])

const openSample = (all: Condition[]): Sample => ({
  labels: {
    condition: all[0]!.name,
    database: all[0]!.database ?? '',
    severity: all.some(({ severity }) => severity === 'error') ? 'error' : 'warning',
  },
  value: 1,
})

/** Those about backups are of a database, and known once its store was read. */
function closed(state: MetricFacts['state'], open: ReadonlySet<string>): Sample[] {
  const { looked, backups } = state
  return [...looked].flatMap((condition) => {
    const { severity } = conditionCatalogue[condition]
    const databases = ofDatabases.has(condition)
      ? backups.map(({ database }) => database).filter((database) => isKnown(state, { name: condition, database }))
      : ['']
    return databases
      .filter((database) => !open.has(keyOf({ name: condition, database })))
      .map((database) => ({ labels: { condition, database, severity }, value: 0 }))
  })
}

const ofDatabases: ReadonlySet<ConditionName> = new Set([
  ...(['store-unreadable', 'store-empty', 'backup-failed', 'backup-overdue', 'backup-damaged'] as const),
  ...(['backup-incomplete', 'backup-shrank', 'verify-overdue', 'prune-refused', 'never-decrypted'] as const),
  ...(['restore-test-failed', 'restore-test-overdue', 'two-servers-one-series'] as const),
])
