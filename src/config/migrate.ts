import * as z from 'zod'
import { count, duration, loginSecret } from './fields.ts'
import { formatNames, withSeveralFolders } from './formats.ts'
import { lintRuleNames } from './lint-rules.ts'
import { predicates } from './predicates.ts'
import { urlSource } from './url-source.ts'

/** Which files belong to a database, and where their history is. */
const place = {
  dir: z
    .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
    .prefault('migrations')
    .meta({
      description: `Folder with the migration files, or a list of folders whose files are taken together. Only ${withSeveralFolders.map((format) => `\`${format}\``).join(', ')} take several.`,
    }),
  format: z
    .enum(['auto', ...formatNames])
    .prefault('pgbosun')
    .meta({
      description:
        'Format of the files and of the history: our own, or that of the tool that the files were written for. `auto` detects it, and fails if that is not certain.',
    }),
  role: z.string().min(1).optional().meta({
    description:
      'Role that runs the migrations. Default: the owner declared for the database, if the session user may SET ROLE to it.',
  }),
  table: z
    .string()
    .regex(/^[^."]+(\.[^."]+)?$/, 'write name or schema.name')
    .optional()
    .meta({
      description: 'History table of the other tool, `name` or `schema.name`, if it is not the default of that tool.',
    }),
  allowEmpty: z.boolean().prefault(false).meta({
    description:
      'Accept a folder without migrations even if it, or a folder below it, contains SQL that the format does not read. Otherwise that is exit 2.',
  }),
  placeholders: z.record(z.string().min(1), z.string()).prefault({}).meta({
    description: 'Values of the placeholders in files of `flyway` and `graphile-migrate`, by name.',
  }),
}

const folders = {
  path: ['dir'],
  error: `the format takes one folder; only ${withSeveralFolders.join(', ')} take several`,
}

/** The migrations of a database that is not the target. */
export const databaseMigrate = z.strictObject(place).refine(predicates.takesFolders, folders)

/** The migrations of the target database, and how all are run. */
export const migrateSchema = z
  .strictObject({
    ...place,
    command: z.array(z.string()).min(1).optional().meta({
      description:
        'Program and arguments that migrate the target database instead of migration files, such as `[alembic, upgrade, head]`. It runs under the lock, between roles and grants, with the connection in DATABASE_URL and PG*.',
    }),
    url: urlSource.optional().meta({
      description:
        'Login that runs migrations and seeds. It must be a member of the owner and of nothing else. Default: if the session user has more rights than the owner, a login that is created for the run.',
    }),
    password: loginSecret.optional().meta({ description: 'Password for a `url` without one.' }),
    isolation: z.enum(['login', 'role']).prefault('login').meta({
      description:
        'How code of the owner (triggers, functions, the files) is kept from using the rights of the session user, if that has more. `login`: it runs in a session with a login of its own. `role`: only with SET ROLE, which such code can undo.',
    }),
    lockTimeout: duration('5s').meta({ description: '`lock_timeout` of every migration.' }),
    lockRetries: count.prefault(7).meta({
      description: 'How often a migration is retried after a lock timeout or a deadlock, with growing pauses.',
    }),
    statementTimeout: duration('0s').meta({
      description: '`statement_timeout` of every migration; `0s` is no limit.',
    }),
    outOfOrder: z.enum(['error', 'apply']).optional().meta({
      description:
        'What to do with a file that is older than the newest applied one. Default: `error`; with `dbmate` and `sqlx` `apply`, as those tools do.',
    }),
    ahead: z.enum(['ok', 'warn', 'error']).prefault('warn').meta({
      description: 'What to do when the database is at a version newer than every file.',
    }),
    backupFirst: z.enum(['never', 'lint', 'always']).prefault('never').meta({
      description:
        'Whether `up` and `migrate` make and verify a backup of a database before they apply pending migrations to it. `lint`: when one of them loses data or rewrites a table. `always`: before each of them, and before `migrate.command`.',
    }),
    lint: z
      .strictObject({
        rules: z
          .partialRecord(z.enum(lintRuleNames), z.enum(['error', 'warn', 'off']))
          .prefault({})
          .meta({
            description: 'Levels of lint rules, by name of the rule, where they should differ from the default.',
          }),
      })
      .prefault({}),
  })
  .refine(predicates.takesFolders, folders)
  .refine(predicates.hasUrlForPassword, '`password` is set, but `url` is not')
  .prefault({})
