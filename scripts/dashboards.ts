/**
 * Writes the dashboards for Grafana: one about pgbosun, and one about the server by postgres_exporter.
 *
 *   node scripts/dashboards.ts
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

type Query = { expr: string; legend: string }
type Panel = {
  title: string
  type: 'stat' | 'timeseries' | 'state-timeline'
  queries: Query[]
  unit?: string
  /** Of 24. */
  width?: number
  mappings?: object[]
  description?: string
  /** By the name of a series. */
  colours?: Record<string, string>
}
type Row = { title: string; panels: Panel[] }

const query = (expr: string, legend = '{{database}}'): Query => ({ expr, legend })
const stat = (title: string, expr: string, more: Partial<Panel> & { legend?: string } = {}): Panel => ({
  ...{ title, type: 'stat', queries: [query(expr, more.legend)], width: 6 },
  ...more,
})
const lines = (title: string, unit: string, ...queries: Query[]): Panel => ({
  ...{ title, type: 'timeseries', unit, queries, width: 8 },
})

const colours = { SAFE: 'green', 'AT RISK': 'orange', 'NOT SAFE': 'red', UNKNOWN: 'purple' }
const openOrNot = [{ type: 'value', options: { 0: { text: 'no', color: 'green' }, 1: { text: 'open', color: 'red' } } }]

/** What pgbosun says. */
const pgbosun: Row[] = [
  {
    title: 'Verdict',
    panels: [
      stat('Verdict', 'max by (verdict) (pgbosun_verdict == 1)', { legend: '{{verdict}}', colours }),
      stat('Would be lost now', 'time() - max by (database) (pgbosun_recoverable_to_timestamp_seconds)', { unit: 's' }),
      stat('A restore takes about', 'max by (database) (pgbosun_restore_estimated_seconds)', { unit: 's' }),
      stat('Time left for the next backup', 'max by (database) (pgbosun_backup_deadline_timestamp_seconds) - time()', {
        unit: 's',
      }),
      {
        ...{ title: 'Conditions', type: 'state-timeline', width: 24, mappings: openOrNot },
        queries: [query('max by (condition, database) (pgbosun_condition)', '{{condition}} {{database}}')],
      },
    ],
  },
  {
    title: 'Backups',
    panels: [
      lines('Size of the newest', 'bytes', query('max by (database) (pgbosun_backup_last_size_bytes)')),
      lines('Duration of the newest', 's', query('max by (database) (pgbosun_backup_last_duration_seconds)')),
      lines(
        'Runs of a day',
        'short',
        query('sum by (database, result) (increase(pgbosun_backup_runs_total[1d]))', '{{database}} {{result}}'),
      ),
      lines('In the stores', 'short', query('max by (database) (pgbosun_backups_stored)')),
      lines(
        'Free space, and in a week',
        'bytes',
        query('min by (store) (pgbosun_store_free_bytes)', '{{store}}'),
        query('min by (store) (predict_linear(pgbosun_store_free_bytes[1d], 7 * 86400))', '{{store}} in a week'),
      ),
      lines('Damaged', 'short', query('max by (database) (pgbosun_backups_damaged)')),
    ],
  },
  {
    title: 'Schema',
    panels: [
      stat('Migrations applied', 'max(pgbosun_migrations_applied)', { legend: 'applied' }),
      stat('Migrations pending', 'max(pgbosun_migrations_pending)', { legend: 'pending' }),
      stat('Last one applied', '1000 * max(pgbosun_migration_last_applied_timestamp_seconds)', {
        ...{ legend: 'at', unit: 'dateTimeFromNow' },
      }),
      stat('Last up', '1000 * max(pgbosun_up_last_success_timestamp_seconds)', {
        ...{ legend: 'at', unit: 'dateTimeFromNow' },
      }),
    ],
  },
  {
    title: 'Server',
    panels: [
      lines(
        'Connections',
        'short',
        query('max(pgbosun_server_connections)', 'in use'),
        query('max(pgbosun_server_connections_limit)', 'limit'),
      ),
      lines('Size of databases', 'bytes', query('max by (database) (pgbosun_database_size_bytes)')),
      lines('Oldest transaction', 's', query('max(pgbosun_server_oldest_transaction_seconds)', 'age')),
      lines('WAL kept by a slot', 'bytes', query('max(pgbosun_slot_retained_bytes)', 'at most')),
      lines('Transaction ids in use', 'short', query('max(pgbosun_server_xid_age)', 'of 2^31')),
      lines('Clock of the server ahead', 's', query('max(pgbosun_clock_skew_seconds)', 'ahead')),
    ],
  },
]

const real = 'datname!~"template.*"'

/** What the server does, by postgres_exporter and kubelet. */
const postgres: Row[] = [
  {
    title: 'PostgreSQL',
    panels: [
      stat('Up', 'min(pg_up)', {
        legend: 'up',
        mappings: [
          { type: 'value', options: { 0: { text: 'DOWN', color: 'red' }, 1: { text: 'up', color: 'green' } } },
        ],
      }),
      lines(
        'Connections',
        'short',
        query(`sum by (datname) (pg_stat_activity_count{${real}})`, '{{datname}}'),
        query('max(pg_settings_max_connections)', 'max_connections'),
      ),
      lines(
        'Transactions per second',
        'ops',
        query(
          `sum by (datname) (rate(pg_stat_database_xact_commit{${real}}[$__rate_interval]) + rate(pg_stat_database_xact_rollback{${real}}[$__rate_interval]))`,
          '{{datname}}',
        ),
      ),
      lines(
        'Cache hits',
        'percentunit',
        query(
          `sum by (datname) (pg_stat_database_blks_hit{${real}}) / sum by (datname) (pg_stat_database_blks_hit{${real}} + pg_stat_database_blks_read{${real}})`,
          '{{datname}}',
        ),
      ),
      lines(
        'Longest statement or transaction',
        's',
        query(`max by (datname, state) (pg_stat_activity_max_tx_duration{${real}})`, '{{datname}} {{state}}'),
      ),
      lines(
        'Size, and growth in a day',
        'bytes',
        query(`max by (datname) (pg_database_size_bytes{${real}})`, '{{datname}}'),
        query(`max by (datname) (delta(pg_database_size_bytes{${real}}[1d]))`, '{{datname}} in a day'),
      ),
      lines(
        'Deadlocks',
        'short',
        query(`sum by (datname) (increase(pg_stat_database_deadlocks{${real}}[1h]))`, '{{datname}}'),
      ),
      {
        ...lines(
          'Free on the volume of the data, and in four days',
          'bytes',
          query(
            `min by (persistentvolumeclaim) (kubelet_volume_stats_available_bytes{persistentvolumeclaim=~"$claim"})`,
            '{{persistentvolumeclaim}}',
          ),
          query(
            `min by (persistentvolumeclaim) (predict_linear(kubelet_volume_stats_available_bytes{persistentvolumeclaim=~"$claim"}[6h], 4 * 86400))`,
            '{{persistentvolumeclaim}} in four days',
          ),
        ),
        description: 'Of kubelet. Without Kubernetes, use node_filesystem_avail_bytes of node_exporter.',
      },
    ],
  },
]

// biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana's
const datasource = { type: 'prometheus', uid: '${datasource}' }
const height = 7

function layOut(rows: Row[]): object[] {
  let id = 0
  let y = 0
  return rows.flatMap(({ title, panels }) => {
    const header = {
      id: ++id,
      type: 'row',
      title,
      collapsed: false,
      gridPos: { h: 1, w: 24, x: 0, y: y++ },
      panels: [],
    }
    let x = 0
    const laid = panels.map(({ width: w = 8, ...panel }) => {
      if (x + w > 24) {
        x = 0
        y += height
      }
      const placed = panelOf(++id, panel, { h: height, w, x, y })
      x += w
      return placed
    })
    y += height
    return [header, ...laid]
  })
}

const panelOf = (
  id: number,
  { title, type, queries, unit = 'short', mappings = [], description, colours = {} }: Panel,
  gridPos: object,
) => ({
  ...{ id, type, title, datasource, gridPos },
  ...(description && { description }),
  fieldConfig: { defaults: { unit, mappings }, overrides: Object.entries(colours).map(overrideOf) },
  options:
    type === 'stat'
      ? { reduceOptions: { calcs: ['lastNotNull'] }, textMode: title === 'Verdict' ? 'name' : 'auto' }
      : {},
  targets: queries.map(({ expr, legend }, i) => ({
    ...{ refId: String.fromCharCode(65 + i), datasource, expr, legendFormat: legend },
    ...(type === 'stat' && { instant: true }),
  })),
})

const overrideOf = ([name, fixedColor]: [string, string]) => ({
  matcher: { id: 'byName', options: name },
  properties: [{ id: 'color', value: { mode: 'fixed', fixedColor } }],
})

const variable = { name: 'datasource', label: 'Prometheus', type: 'datasource', query: 'prometheus', current: {} }
const claim = {
  ...{
    name: 'claim',
    label: 'Volume of the data',
    type: 'query',
    datasource,
    refresh: 1,
    current: {},
    includeAll: true,
  },
  query: 'label_values(kubelet_volume_stats_available_bytes, persistentvolumeclaim)',
}

const dashboard = (uid: string, title: string, rows: Row[], variables: object[]) =>
  `${JSON.stringify(
    {
      ...{ uid, title, tags: ['pgbosun', 'postgresql'], schemaVersion: 38, version: 1, editable: true },
      ...{ time: { from: 'now-7d', to: 'now' }, refresh: '1m', timezone: 'utc' },
      templating: { list: variables },
      panels: layOut(rows),
    },
    undefined,
    2,
  )}\n`

/** The files of k8s/monitoring, by name. */
export const dashboardFiles: Record<string, string> = {
  'dashboard.json': dashboard('pgbosun', 'pgbosun', pgbosun, [variable]),
  'postgres-dashboard.json': dashboard('pgbosun-postgres', 'PostgreSQL beside pgbosun', postgres, [variable, claim]),
}

const queriesOf = (rows: Row[]) =>
  rows.flatMap(({ panels }) => panels.flatMap(({ queries }) => queries.map(({ expr }) => expr)))

/** The queries of each. */
export const queries = { pgbosun: queriesOf(pgbosun), postgres: queriesOf(postgres) }

if (import.meta.main)
  for (const [name, text] of Object.entries(dashboardFiles))
    writeFileSync(join(import.meta.dirname, '../k8s/monitoring', name), text)
