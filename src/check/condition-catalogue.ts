// pure
/** What a condition is about, which decides the verdict: see {@link verdictOf}. `unknown`: something could not be looked at. */
export type ConditionAbout = 'recoverability' | 'data' | 'unknown' | 'other'

/** What is the same for every condition of a name. */
type Entry = {
  /** The worst that one of this name can be: some are only a warning at first. */
  severity: 'error' | 'warning'
  about: ConditionAbout
  /** One line. */
  meaning: string
}

const error = (about: ConditionAbout, meaning: string): Entry => ({ severity: 'error', about, meaning })
const warning = (about: ConditionAbout, meaning: string): Entry => ({ severity: 'warning', about, meaning })

/**
 * Every condition there is. The names are permanent: programs look for them. Each has its section in docs/conditions.md, in this order.
 */
export const conditionCatalogue = {
  'database-unreachable': error('unknown', 'the database does not answer'),
  'database-refused': error('unknown', 'the database refuses the connection'),
  'database-in-recovery': error('other', 'the server is a standby, or still recovers from a crash'),
  'up-failed': error('other', '`up` failed'),
  'migrations-pending': error('other', 'migrations are not applied yet'),
  'migration-failed': error('other', 'a migration failed, and is not applied'),
  'history-problem': error('other', 'the files of the migrations do not match what was applied'),
  'objects-missing': error('data', 'declared tables, columns, indexes or foreign keys are missing or different'),
  'assertion-violated': error('data', 'an assertion of `check.assertions` does not hold'),
  'schema-drift': warning('other', 'the schema is not what the migrations make'),
  'invalid-index': warning('other', 'an index is invalid, or a constraint is not validated'),
  'role-drift': error('other', 'roles or privileges are not as declared'),
  'app-locked-out': error('other', 'an application cannot use what exists'),
  'backup-overdue': error('recoverability', 'a backup that was due is missing, or the newest is too old'),
  'backup-failed': error('recoverability', 'an attempt to make a backup failed'),
  'backup-damaged': error('recoverability', 'a backup was read back and found damaged'),
  'backup-shrank': warning('recoverability', 'the newest backup is much smaller than those before'),
  'backup-incomplete': warning('recoverability', 'a store lacks the newest backup'),
  'verify-overdue': warning('recoverability', 'no backup was read back for a long time'),
  'restore-test-failed': error('recoverability', 'a backup could not be restored for a test'),
  'restore-test-overdue': warning('recoverability', 'no backup was restored for a test when it was due'),
  'store-unreadable': error('unknown', 'the store of the backups cannot be read'),
  'store-empty': error('recoverability', 'the store has no backup of a database at all'),
  'store-full': error('recoverability', 'the store has no space for the next backup'),
  'prune-refused': warning('other', 'old backups were not deleted'),
  'client-missing': error('recoverability', 'there is no `pg_dump` here for the version of the server'),
  'secret-changed': warning('other', 'a declared password has changed, and the server still has the old one'),
  'secret-unreadable': warning('other', 'a declared secret cannot be read'),
  'password-expiring': warning('other', 'the password of a declared login expires soon, or has expired'),
  'connections-near-limit': warning('other', 'the server is close to its limit of connections'),
  'xid-age': error('data', 'transaction ids are running out'),
  'slot-retains-wal': warning('other', 'a replication slot makes the server keep WAL'),
  'long-transaction': warning('other', 'a transaction has been open for a long time'),
  'clock-skew': warning('other', 'the clocks of the server and of this machine differ'),
  'notify-failing': warning('other', 'a target of `notify` receives nothing'),
  'configuration-changed': warning('other', 'the configuration has changed since `serve` was started'),
  'store-not-persistent': error('recoverability', 'the backups end with this container'),
  'store-beside-database': warning('recoverability', 'the backups are on the disk of the database'),
  'replaced-database-waits': warning('other', 'a restore or a comparison has left a database behind'),
  'held-after-restore': warning('other', 'pending migrations wait for a person after a restore'),
  'never-decrypted': warning('recoverability', 'nothing shows that the backups can still be decrypted'),
  'two-servers-one-series': error('recoverability', 'two servers make backups of one series'),
} satisfies Record<string, Entry>

export type ConditionName = keyof typeof conditionCatalogue

export const conditionNames = Object.keys(conditionCatalogue) as ConditionName[]

/** Something that somebody should look at. */
export type Condition = {
  name: ConditionName
  severity: 'error' | 'warning'
  /** The roles that it is about. */
  roles: string[]
  /** The database that it is about, where it is about one of several. */
  database?: string
  /** The schedule that it is about, of `backup.schedules`. */
  schedule?: string
  message: string
  hint: string
  /** The instant of its start, RFC 3339 in UTC: from facts, so that it is the same after a restart; without any, when it was first seen. */
  since: string
}

/** A condition as every JSON document has it. */
export const conditionFields = ({ name, severity, roles, database, schedule, message, hint, since }: Condition) => ({
  ...{ name, severity, roles, database: database ?? null, schedule: schedule ?? null },
  ...{ message, hint, since },
})

/** Where a condition is explained. */
export const sectionOf = (name: ConditionName): string => `docs/conditions.md#${name}`
