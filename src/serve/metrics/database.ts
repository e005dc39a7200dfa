// pure
import type { MetricFacts } from './facts.ts'
import { type Family, type Sample, secondsOf } from './text.ts'

const gauge = (name: string, help: string, ...samples: (Sample | false | undefined)[]): Family => ({
  ...{ name, type: 'gauge', help },
  samples: samples.filter((sample) => sample !== undefined && sample !== false),
})

/** A value, unless it is not known. */
const one = (value: number | undefined, labels?: Record<string, string>): Sample | undefined =>
  value === undefined ? undefined : { value, ...(labels && { labels }) }

/** The process, the database and its server, the stores and the targets of notifications. */
export const otherFamilies = (facts: MetricFacts): Family[] => [
  ...program(facts),
  ...database(facts),
  ...server(facts),
  ...stores(facts),
  {
    ...{ name: 'pgbosun_notify_failures_total', type: 'counter' },
    help: 'Messages that a target did not receive.',
    samples: [...facts.counts.notifyFailures].map(([as, value]) => ({ labels: { as }, value })),
  },
]

function program({ state, health, pgClient }: MetricFacts): Family[] {
  const { up } = state
  return [
    gauge('pgbosun_build_info', 'Always 1.', {
      labels: { version: state.version, pg_client: pgClient ?? '' },
      value: 1,
    }),
    gauge('pgbosun_start_timestamp_seconds', 'When this process was started.', { value: secondsOf(state.startedAt) }),
    gauge('pgbosun_ready', 'Whether /readyz answers 200.', { value: Number(health.ok) }),
    gauge(
      'pgbosun_up_last_success_timestamp_seconds',
      'When `up` of this process succeeded last.',
      up?.ok && { value: secondsOf(up.finishedAt) },
    ),
    gauge(
      'pgbosun_up_last_exit_code',
      'The exit code of the last `up` that this process has tried.',
      one(up ? (up.exitCode ?? Number(!up.ok)) : undefined),
    ),
  ]
}

/** A look that failed for another reason tells nothing of whether it can be reached. */
function database({ state, health, target, migrations }: MetricFacts): Family[] {
  const away = health.kind === 'unreachable' || health.kind === 'refused'
  const reachable = health.ok ? 1 : away ? 0 : health.kind === 'unknown' || !health.kind ? undefined : 1
  const unseen = state.conditions.some(({ name }) => name === 'migrations-pending') && migrations?.pending === 0
  return [
    gauge(
      'pgbosun_database_reachable',
      'Whether the last look at the database succeeded.',
      target === undefined ? undefined : one(reachable, { database: target }),
    ),
    gauge('pgbosun_migrations_applied', 'Migrations in the history.', one(migrations?.applied)),
    gauge(
      'pgbosun_migrations_pending',
      'Migrations that this process knows and that are not applied; absent while files have changed since.',
      one(unseen ? undefined : migrations?.pending),
    ),
    gauge(
      'pgbosun_migration_last_applied_timestamp_seconds',
      'When the newest migration was applied.',
      one(migrations?.lastAppliedAt === undefined ? undefined : secondsOf(migrations.lastAppliedAt)),
    ),
  ]
}

function server({ server: facts, now }: MetricFacts): Family[] {
  if (!facts) return []
  const { connections, connectionLimit, transaction, hidden, oldestIds, slots, sizes, clockSkewMs } = facts
  const retained = slots.flatMap(({ retainedBytes }) => retainedBytes ?? [])
  const safe = slots.flatMap(({ safeBytes }) => safeBytes ?? [])
  const age = transaction ? (now.getTime() - Date.parse(transaction.since)) / 1000 : 0
  return [
    gauge('pgbosun_server_connections', 'Connections of clients in use.', { value: connections }),
    gauge('pgbosun_server_connections_limit', 'Connections that there may be, without reserved ones.', {
      value: connectionLimit,
    }),
    gauge(
      'pgbosun_server_oldest_transaction_seconds',
      'Age of the oldest open transaction, 0 without one; absent where not all of them may be seen.',
      one(hidden > 0 ? undefined : Math.max(0, age)),
    ),
    gauge('pgbosun_server_xid_age', 'Transactions since the oldest row that is not frozen.', one(oldestIds?.age)),
    gauge(
      'pgbosun_slot_retained_bytes',
      'WAL that the replication slot keeps that keeps most; 0 without slots.',
      one(slots.length === 0 ? 0 : retained.length > 0 ? Math.max(...retained) : undefined),
    ),
    gauge(
      'pgbosun_slot_safe_bytes',
      'WAL that may be written before the server gives up a slot, of the one with the least.',
      one(safe.length > 0 ? Math.min(...safe) : undefined),
    ),
    gauge(
      'pgbosun_database_size_bytes',
      'Size of a database.',
      ...Object.entries(sizes).map(([name, value]) => ({ labels: { database: name }, value })),
    ),
    gauge('pgbosun_clock_skew_seconds', "How far the server's clock is ahead of ours.", { value: clockSkewMs / 1000 }),
  ]
}

function stores({ state, stores: found = [] }: MetricFacts): Family[] {
  const looks = state.backups.filter(({ ended }) => !ended)
  const unread = looks.some(({ storeProblem }) => storeProblem !== null)
  const read = looks.length > 0 && looks.every(({ looked }) => looked === true)
  return [
    gauge(
      'pgbosun_store_readable',
      'Whether the last look at the stores succeeded, for every database; absent before the first.',
      unread ? { value: 0 } : read && { value: 1 },
    ),
    gauge(
      'pgbosun_store_bytes',
      'Size of all backups in a store.',
      ...found.map(({ name, bytes }) => ({ labels: { store: name }, value: bytes })),
    ),
    gauge(
      'pgbosun_store_free_bytes',
      'Free space of a store, where that is known.',
      ...found.map(({ name, freeBytes }) => one(freeBytes, { store: name })),
    ),
  ]
}
