// pure
import type { Change } from '../plan.ts'
import { counted, plural, someOf } from '../units.ts'
import { type AssertionResult, describeAssertion } from './assertion.ts'
import { type Condition, type ConditionName, conditionCatalogue } from './condition-catalogue.ts'
import { type Leftover, sized } from './leftovers.ts'
import type { HealthFindings } from './types.ts'

/** What was found out about the database itself. */
export type DatabaseFindings = {
  /** Why there is no connection. */
  connection?:
    | { name: 'database-unreachable' | 'database-refused' | 'database-in-recovery'; message: string }
    | undefined
  findings: HealthFindings | undefined
  pending: string[]
  problems: { name: string; detail: string }[]
  /** The last run, where it failed at a migration. */
  failedRun?: { at: string; error: string } | undefined
  drift: Change[]
  lockedOut: string[]
  assertions: AssertionResult[]
  leftovers: Leftover[]
  /** In words, that a restore holds back pending migrations, and since when. */
  held?: { text: string; since: string } | undefined
  shadow?: { errors: string[] } | undefined
  /** Why no backup can be made here. */
  clientMissing?: { message: string; hint: string } | undefined
  /** In words, that clocks differ. */
  skew?: string | undefined
}

/** Those that a look at the database opens and ends. */
export const databaseConditionNames = [
  ...(['migrations-pending', 'migration-failed', 'history-problem', 'objects-missing', 'assertion-violated'] as const),
  ...(['schema-drift', 'invalid-index', 'role-drift', 'app-locked-out', 'client-missing', 'clock-skew'] as const),
  ...(['replaced-database-waits', 'held-after-restore'] as const),
]

export const connectionHints = {
  'database-unreachable': 'check that the server runs, and the network to it: pgbosun wait',
  'database-refused': 'check the user, its password and pg_hba.conf: pgbosun wait',
  'database-in-recovery':
    'if it was promoted elsewhere, correct the host; if it recovers from a crash, wait: pgbosun wait',
}

/** What is wrong with a database. @param since when it was first seen, where no fact tells */
export function databaseConditions(found: DatabaseFindings, since: (name: ConditionName) => string): Condition[] {
  const of = (
    name: ConditionName,
    messages: readonly string[],
    hint: string,
    more: Partial<Pick<Condition, 'since' | 'severity'>> = {},
  ): Condition[] =>
    messages.length === 0
      ? []
      : [
          {
            ...{ name, severity: conditionCatalogue[name].severity, roles: [], message: someOf(messages, '; '), hint },
            ...{ since: since(name), ...more },
          },
        ]
  const { connection, findings, pending, problems, failedRun, drift, lockedOut, assertions, leftovers, held } = found
  const violated = (level: AssertionResult['level']) =>
    assertions.filter(({ ok, level: its }) => ok === false && its === level).map(describeAssertion)
  return [
    ...(connection ? of(connection.name, [connection.message], connectionHints[connection.name]) : []),
    ...of(
      'migration-failed',
      failedRun && pending.length > 0 ? [failedRun.error] : [],
      'correct the file, or undo it; then: pgbosun up',
      failedRun && { since: failedRun.at },
    ),
    ...of(
      'migrations-pending',
      pending.length > 0
        ? [`${counted(pending.length, 'migration')} ${plural(pending.length, 'is', 'are')} pending: ${someOf(pending)}`]
        : [],
      held ? 'look at them, then: pgbosun up --after-restore' : 'look at them with `pgbosun plan`, then: pgbosun up',
    ),
    ...of(
      'history-problem',
      problems.map(({ name, detail }) => `migration ${name} ${detail}`),
      'look at it with `pgbosun migrate status`; restore the file, or record what is true with `pgbosun migrate repair`',
    ),
    ...of(
      'objects-missing',
      findings?.errors ?? [],
      'look with `pgbosun check`; if data was lost, `pgbosun restore` brings it back, otherwise correct what is declared under `check`',
    ),
    ...of(
      'assertion-violated',
      [...violated('error'), ...violated('warning')],
      'run the query of the assertion to see the rows, and correct the data',
      { severity: violated('error').length > 0 ? 'error' : 'warning' },
    ),
    ...of(
      'schema-drift',
      found.shadow?.errors ?? [],
      'put the difference into a migration, or undo what was changed by hand: pgbosun migrate verify --shadow',
    ),
    ...of(
      'invalid-index',
      findings?.warnings.flat() ?? [],
      'drop an invalid index and create it again; `alter table … validate constraint` for a constraint',
    ),
    ...of(
      'role-drift',
      drift.map(({ action, object, reason }) => `roles: ${action} ${object} (${reason})`),
      'look at the differences with `pgbosun plan`; `pgbosun up` makes roles what is declared',
    ),
    ...of('app-locked-out', lockedOut, 'grant what is missing: look with `pgbosun plan`, then `pgbosun up`'),
    ...of(
      'client-missing',
      found.clientMissing ? [`no backup can be made here: ${found.clientMissing.message}`] : [],
      found.clientMissing?.hint ?? '',
    ),
    ...of(
      'clock-skew',
      found.skew === undefined ? [] : [found.skew],
      'set the clock that is wrong (`timedatectl set-ntp true`), then: pgbosun check',
    ),
    ...of(
      'replaced-database-waits',
      leftovers.map((one) =>
        one.kind === 'replaced'
          ? `a restore of ${one.of} keeps what it replaced in ${sized(one)}`
          : `${one.kind === 'restore' ? 'a restore into' : 'a comparison with'} ${one.of} left ${sized(one)} behind`,
      ),
      'look with `pgbosun status`; `pgbosun restore --rollback` brings back what was replaced, `pgbosun restore --discard NAME` drops it',
    ),
    ...of(
      'held-after-restore',
      held ? [held.text] : [],
      'check the data, then: pgbosun restore --release',
      held && { since: held.since },
    ),
  ]
}
