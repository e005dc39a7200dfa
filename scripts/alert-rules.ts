/**
 * Writes the alert rules: plain ones for Prometheus, and the same as a PrometheusRule. Most are conditions of the catalogue; the others are
 * about deadlines, and about not hearing anything.
 *
 *   node scripts/alert-rules.ts
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { type ConditionName, conditionCatalogue, conditionNames } from '../src/check/condition-catalogue.ts'

export type Rule = {
  alert: string
  expr: string
  for: string
  labels: { severity: 'critical' | 'warning' }
  annotations: { summary: string; description: string; runbook_url: string }
}

/** Of the repository: whoever uses the rules puts the address of their copy in front. */
const docs = 'docs'

/** Replicas say the same; where one of them knows less, what is bad counts. */
const acrossReplicas = 'without (instance, pod)'

const rule = (
  alert: string,
  expr: string,
  more: { for: string; severity: 'critical' | 'warning'; summary: string; description: string; runbook: string },
): Rule => ({
  alert,
  expr,
  for: more.for,
  labels: { severity: more.severity },
  annotations: {
    summary: more.summary,
    description: more.description,
    runbook_url: `${docs}/${more.runbook}`,
  },
})

/** `backup-overdue` is `PgbosunBackupOverdue`. */
export const alertOf = (name: ConditionName): string =>
  `Pgbosun${name
    .split('-')
    .map((word) => word[0]!.toUpperCase() + word.slice(1))
    .join('')}`

const about = '{{ with $labels.database }}Database {{ . }}. {{ end }}'

/** Those that are found by a number, so that they are right even where nobody has looked at anything. */
const byNumbers: Partial<Record<ConditionName, { expr: string; for: string }>> = {
  // the latest: of several replicas, the one that has read the store knows
  'backup-overdue': {
    expr: `time() > max ${acrossReplicas} (pgbosun_backup_deadline_timestamp_seconds)`,
    for: '10m',
  },
  'restore-test-overdue': {
    expr: `time() > max ${acrossReplicas} (pgbosun_restore_test_deadline_timestamp_seconds)`,
    for: '10m',
  },
  'backup-shrank': {
    expr: 'pgbosun_backup_last_size_bytes < 0.5 * avg_over_time(pgbosun_backup_last_size_bytes[7d])',
    for: '10m',
  },
  'store-unreadable': { expr: `max ${acrossReplicas} (pgbosun_store_readable) == 0`, for: '15m' },
}

/** What may pass by itself, a retry for example, is given more time. */
const patience: Partial<Record<ConditionName, string>> = {
  'backup-failed': '30m',
  'migrations-pending': '15m',
  'configuration-changed': '1h',
  'connections-near-limit': '15m',
}

/** An error that costs nobody data, and that a person may look at in the morning. */
const canWait: readonly ConditionName[] = ['backup-failed', 'migrations-pending']

function conditionRule(name: ConditionName): Rule {
  const { severity, meaning } = conditionCatalogue[name]
  // some are only a warning at first
  const only = severity === 'error' ? `{condition="${name}",severity="error"}` : `{condition="${name}"}`
  const number = byNumbers[name]
  return rule(alertOf(name), number?.expr ?? `max ${acrossReplicas} (pgbosun_condition${only}) == 1`, {
    for: number?.for ?? patience[name] ?? '10m',
    severity: severity === 'error' && !canWait.includes(name) ? 'critical' : 'warning',
    summary: `pgbosun: ${meaning.replaceAll('`', "'")}`,
    description: `${about}'pgbosun status' names the cause and the next step.`,
    runbook: `conditions.md#${name}`,
  })
}

export const rules: Rule[] = [
  rule('PgbosunAbsent', 'absent(pgbosun_build_info) or up{job=~".*pgbosun.*"} == 0', {
    ...{ for: '15m', severity: 'critical', runbook: 'monitoring.md#nothing-is-heard-of-pgbosun' },
    summary: 'nothing is heard of pgbosun: nobody makes backups, and nobody would say so',
    description: 'Prometheus has reached no serve for 15 minutes.',
  }),
  rule(
    'PgbosunNoDeadline',
    'absent(pgbosun_backup_deadline_timestamp_seconds) unless on () absent(pgbosun_build_info)',
    {
      ...{ for: '15m', severity: 'critical', runbook: 'monitoring.md#no-backup-is-due' },
      summary: 'pgbosun runs, and no backup is ever due',
      description: 'There is no schedule and no limit of age, or no database to back up.',
    },
  ),
  rule('PgbosunUnknown', `min ${acrossReplicas} (pgbosun_verdict{verdict="UNKNOWN"}) == 1`, {
    ...{ for: '15m', severity: 'critical', runbook: 'conditions.md#conditions' },
    summary: 'nobody knows whether the database can be restored',
    description: "Something cannot be looked at. 'pgbosun status' names it.",
  }),
  ...conditionNames.map(conditionRule),
]

const head =
  '# Made by `node scripts/alert-rules.ts`; test/monitoring.int.test.ts holds them. See docs/monitoring.md.\n'
const groups = [{ name: 'pgbosun', rules }]

/** The files of k8s/monitoring, by name. */
export const ruleFiles: Record<string, string> = {
  'rules.yaml': head + stringify({ groups }, { lineWidth: 0 }),
  'alerts.yaml':
    head +
    stringify(
      {
        apiVersion: 'monitoring.coreos.com/v1',
        kind: 'PrometheusRule',
        metadata: { name: 'pgbosun', labels: { 'app.kubernetes.io/name': 'pgbosun' } },
        spec: { groups },
      },
      { lineWidth: 0 },
    ),
}

if (import.meta.main)
  for (const [name, text] of Object.entries(ruleFiles))
    writeFileSync(join(import.meta.dirname, '../k8s/monitoring', name), text)
