import type { Command } from './command.ts'

/** A command that is loaded only when it runs; the help of the whole program needs no more than its summary. */
type Lazy = { summary: string; load(): Promise<Command> }

/** Every command, in the order of the help. */
export const commands: Record<string, Lazy> = {
  up: {
    summary: 'Make the database ready: databases, roles, migrations, privileges, seeds, check.',
    load: async () => (await import('./commands/up.ts')).up,
  },
  serve: {
    summary: 'Do what `up` does, then stay: scheduled backups, retention, health endpoints.',
    load: async () => (await import('./commands/serve.ts')).serve,
  },
  plan: {
    summary: 'Show everything that `up` would change. Takes no lock and writes nothing.',
    load: async () => (await import('./commands/plan.ts')).plan,
  },
  wait: {
    summary: 'Wait until the database accepts work.',
    load: async () => (await import('./commands/wait.ts')).wait,
  },
  migrate: {
    summary: 'Apply pending migrations (the same as `migrate up`).',
    load: async () => (await import('./commands/migrate.ts')).migrate,
  },
  'migrate up': {
    summary: 'Apply pending migrations, in order, each exactly once.',
    load: async () => (await import('./commands/migrate.ts')).migrateUp,
  },
  'migrate down': {
    summary: 'Undo the newest applied migration, or several, with their down scripts.',
    load: async () => (await import('./commands/migrate-down.ts')).migrateDown,
  },
  'migrate redo': {
    summary: 'Undo the newest applied migration, then apply it again.',
    load: async () => (await import('./commands/migrate-down.ts')).migrateRedo,
  },
  'migrate status': {
    summary: 'Show applied and pending migrations, and problems with the history.',
    load: async () => (await import('./commands/migrate-status.ts')).migrateStatus,
  },
  'migrate new': {
    summary: 'Create an empty migration file with the next version.',
    load: async () => (await import('./commands/migrate-new.ts')).migrateNew,
  },
  'migrate verify': {
    summary: 'Compare the files with the history and, with --shadow, the schema they make.',
    load: async () => (await import('./commands/migrate-verify.ts')).migrateVerify,
  },
  'migrate repair': {
    summary: 'Repair the history after files were changed or lost, or a migration stopped halfway.',
    load: async () => (await import('./commands/migrate-repair.ts')).migrateRepair,
  },
  'migrate baseline': {
    summary: 'Record all migrations up to a version as applied, without running them.',
    load: async () => (await import('./commands/migrate-baseline.ts')).migrateBaseline,
  },
  'migrate adopt': {
    summary: "Move another tool's migrations and history to pgbosun's format.",
    load: async () => (await import('./commands/migrate-adopt.ts')).migrateAdopt,
  },
  'migrate lint': {
    summary: 'Find what is dangerous in migrations: locks, rewrites, lost data.',
    load: async () => (await import('./commands/migrate-lint.ts')).migrateLint,
  },
  'migrate rehearse': {
    summary: 'Apply pending migrations to a restored copy: how long they take, what they lock and rewrite.',
    load: async () => (await import('./commands/migrate-rehearse.ts')).migrateRehearse,
  },
  'migrate wait-for': {
    summary: 'Wait until the schema is new enough for an application.',
    load: async () => (await import('./commands/migrate-wait-for.ts')).migrateWaitFor,
  },
  'roles plan': {
    summary: 'Show what `roles apply` would change.',
    load: async () => (await import('./commands/roles.ts')).rolesPlan,
  },
  'roles apply': {
    summary: 'Bring databases, roles, memberships and privileges to what is declared.',
    load: async () => (await import('./commands/roles.ts')).rolesApply,
  },
  'roles generate': {
    summary: 'Print the databases, roles and privileges of a server that is there as a configuration.',
    load: async () => (await import('./commands/roles-generate.ts')).rolesGenerate,
  },
  'roles rotate': {
    summary: 'Give the idle one of two logins its new password, or close the one that was used before.',
    load: async () => (await import('./commands/roles-rotate.ts')).rolesRotate,
  },
  seed: {
    summary: 'Load seed data that is new or has changed.',
    load: async () => (await import('./commands/seed.ts')).seed,
  },
  import: {
    summary: 'Import the rows of a SQLite file, another PostgreSQL or a backup, once.',
    load: async () => (await import('./commands/import.ts')).importCommand,
  },
  backup: {
    summary: 'Make a backup (the same as `backup run`).',
    load: async () => (await import('./commands/backup.ts')).backup,
  },
  'backup run': {
    summary: 'Back up every database of backup.databases, and verify each backup.',
    load: async () => (await import('./commands/backup.ts')).backupRun,
  },
  'backup list': {
    summary: 'List the backups in the store, oldest first.',
    load: async () => (await import('./commands/backup-list.ts')).backupList,
  },
  'backup verify': {
    summary: 'Read backups back, compare every checksum, and decode the whole dump.',
    load: async () => (await import('./commands/backup-verify.ts')).backupVerify,
  },
  'backup prune': {
    summary: 'Delete the backups that no rule of backup.keep keeps.',
    load: async () => (await import('./commands/backup-prune.ts')).backupPrune,
  },
  'backup pin': {
    summary: 'Keep a backup, whatever backup.keep says.',
    load: async () => (await import('./commands/backup-pin.ts')).backupPin,
  },
  'backup unpin': {
    summary: 'Let backup.keep decide about a pinned backup again.',
    load: async () => (await import('./commands/backup-pin.ts')).backupUnpin,
  },
  'backup copy': {
    summary: 'Copy backups to a store that lacks them.',
    load: async () => (await import('./commands/backup-copy.ts')).backupCopy,
  },
  'backup fetch': {
    summary: 'Write a backup into a file, decrypted and verified, for pg_restore or psql.',
    load: async () => (await import('./commands/backup-fetch.ts')).backupFetch,
  },
  'backup keys check': {
    summary: 'Show which backups the configured identities open.',
    load: async () => (await import('./commands/backup-keys.ts')).backupKeysCheck,
  },
  restore: {
    summary: 'Restore a backup into a new database, or in place of the present one; completely or not at all.',
    load: async () => (await import('./commands/restore.ts')).restore,
  },
  'notify test': {
    summary: 'Send one message of each kind to each target of `notify`.',
    load: async () => (await import('./commands/notify-test.ts')).notifyTest,
  },
  check: {
    summary: 'Check that the database is what is declared, and that its backups are good.',
    load: async () => (await import('./commands/check.ts')).check,
  },
  status: {
    summary: 'Show what is applied and pending, and the state of the database, on one screen.',
    load: async () => (await import('./commands/check.ts')).status,
  },
  healthcheck: {
    summary: 'Ask a running `serve` over loopback whether it is alive; exit 0 or 1.',
    load: async () => (await import('./commands/healthcheck.ts')).healthcheck,
  },
  'config show': {
    summary: 'Show the effective configuration, and where each value comes from.',
    load: async () => (await import('./commands/config.ts')).configShow,
  },
  'config validate': {
    summary: 'Check the configuration, its files and its secrets, without connecting.',
    load: async () => (await import('./commands/config.ts')).configValidate,
  },
  'config schema': {
    summary: 'Print the JSON Schema of the configuration file.',
    load: async () => (await import('./commands/config.ts')).configSchemaCommand,
  },
}

export const commandNames = Object.keys(commands)
