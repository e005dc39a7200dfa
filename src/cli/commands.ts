import type { Command } from './command.ts'

/** A command that is loaded only when it runs. */
type Lazy = { summary: string; load(): Promise<Command> }

/** Every command, in the order of the help. */
export const commands: Record<string, Lazy> = {
  up: {
    summary: 'Make the database ready: roles, migrations, privileges, seeds, check.',
    load: async () => (await import('./commands/up.ts')).up,
  },
  serve: {
    summary: 'The same, then stay: scheduled backups, retention, health.',
    load: async () => (await import('./commands/serve.ts')).serve,
  },
  plan: { summary: 'Show what `up` would change.', load: async () => (await import('./commands/plan.ts')).plan },
  wait: {
    summary: 'Wait until the database accepts work.',
    load: async () => (await import('./commands/wait.ts')).wait,
  },
  migrate: {
    summary: 'Apply pending migrations (the same as `migrate up`).',
    load: async () => (await import('./commands/migrate.ts')).migrate,
  },
  'migrate up': {
    summary: 'Apply pending migrations.',
    load: async () => (await import('./commands/migrate.ts')).migrateUp,
  },
  'migrate down': {
    summary: 'Undo the newest migration.',
    load: async () => (await import('./commands/migrate-down.ts')).migrateDown,
  },
  'migrate redo': {
    summary: 'Undo the newest migration, and apply it again.',
    load: async () => (await import('./commands/migrate-down.ts')).migrateRedo,
  },
  'migrate status': {
    summary: 'Show applied and pending migrations.',
    load: async () => (await import('./commands/migrate-status.ts')).migrateStatus,
  },
  'migrate new': {
    summary: 'Create a migration file.',
    load: async () => (await import('./commands/migrate-new.ts')).migrateNew,
  },
  'migrate verify': {
    summary: 'Compare the files with the history.',
    load: async () => (await import('./commands/migrate-verify.ts')).migrateVerify,
  },
  'migrate repair': {
    summary: 'Repair the history of migrations.',
    load: async () => (await import('./commands/migrate-repair.ts')).migrateRepair,
  },
  'migrate baseline': {
    summary: 'Record everything up to a version as applied.',
    load: async () => (await import('./commands/migrate-baseline.ts')).migrateBaseline,
  },
  'migrate adopt': {
    summary: "Move another tool's history to our format.",
    load: async () => (await import('./commands/migrate-adopt.ts')).migrateAdopt,
  },
  'migrate lint': {
    summary: 'Look for what is dangerous in migrations.',
    load: async () => (await import('./commands/migrate-lint.ts')).migrateLint,
  },
  'migrate wait-for': {
    summary: 'Wait until the schema is new enough.',
    load: async () => (await import('./commands/migrate-wait-for.ts')).migrateWaitFor,
  },
  'roles plan': {
    summary: 'Show what `roles apply` would change.',
    load: async () => (await import('./commands/roles.ts')).rolesPlan,
  },
  'roles apply': {
    summary: 'Converge databases, roles and privileges.',
    load: async () => (await import('./commands/roles.ts')).rolesApply,
  },
  seed: { summary: 'Load seed data.', load: async () => (await import('./commands/seed.ts')).seed },
  backup: {
    summary: 'Make a backup (the same as `backup run`).',
    load: async () => (await import('./commands/backup.ts')).backup,
  },
  'backup run': {
    summary: 'Back up, read back and decode.',
    load: async () => (await import('./commands/backup.ts')).backupRun,
  },
  'backup list': {
    summary: 'List the backups in the store.',
    load: async () => (await import('./commands/backup-list.ts')).backupList,
  },
  'backup verify': {
    summary: 'Read backups back, and decode them.',
    load: async () => (await import('./commands/backup-verify.ts')).backupVerify,
  },
  'backup prune': {
    summary: 'Delete the backups that no rule keeps.',
    load: async () => (await import('./commands/backup-prune.ts')).backupPrune,
  },
  restore: {
    summary: 'Restore a backup into a new database.',
    load: async () => (await import('./commands/restore.ts')).restore,
  },
  check: {
    summary: 'Check that the database is what is declared.',
    load: async () => (await import('./commands/check.ts')).check,
  },
  status: {
    summary: 'Show the state of the database on one screen.',
    load: async () => (await import('./commands/check.ts')).status,
  },
  healthcheck: {
    summary: 'Ask a running `serve` whether it is alive.',
    load: async () => (await import('./commands/healthcheck.ts')).healthcheck,
  },
  'config show': {
    summary: 'Show the effective configuration, with origins.',
    load: async () => (await import('./commands/config.ts')).configShow,
  },
  'config validate': {
    summary: 'Check the configuration without connecting.',
    load: async () => (await import('./commands/config.ts')).configValidate,
  },
  'config schema': {
    summary: 'Print the JSON Schema of the configuration.',
    load: async () => (await import('./commands/config.ts')).configSchemaCommand,
  },
}

export const commandNames = Object.keys(commands)
