import * as z from 'zod'
import { accessKeys } from './access.ts'
import { backup } from './backup.ts'
import { duration, durationText, loginSecret, noUrl, secret } from './fields.ts'
import { importKeys } from './import.ts'
import { migrateSchema } from './migrate.ts'
import { notifySchema } from './notify.ts'
import { predicates } from './predicates.ts'
import { urlSource } from './url-source.ts'

const database = z
  .strictObject({
    url: urlSource.optional().meta({
      description:
        'Where the database is: `postgres://user:password@host:port/name`. Several hosts are separated by commas.',
    }),
    directUrl: urlSource.optional().meta({
      description:
        'Connection to the server itself, where `url` points to a connection pooler. Replaces every other connection setting.',
    }),
    password: loginSecret.optional().meta({
      description:
        'Password for a URL, or variables, without one. `{ awsRds: { region: NAME } }` signs a token with the credentials that the AWS SDK finds.',
    }),
    tls: z
      .strictObject({
        mode: z.enum(['disable', 'prefer', 'require', 'verify-ca', 'verify-full']).optional().meta({
          description:
            'As libpq’s `sslmode`. Default: the `sslmode` of the URL; without one `prefer`, or `verify-full` once `ca` is set.',
        }),
        ca: noUrl('the path of a file').optional().meta({
          description:
            'File with the certificates of the authorities to trust (PEM), or `system` for the authorities that the operating system trusts. Default: `system`, if the mode verifies certificates.',
        }),
        cert: noUrl('the path of a file').optional().meta({ description: 'File with the client certificate (PEM).' }),
        key: noUrl('the path of a file').optional().meta({ description: 'File with the private key of `cert` (PEM).' }),
      })
      .prefault({}),
  })
  .prefault({})

const wait = z
  .strictObject({
    timeout: duration('5m').meta({ description: 'How long to wait until the database is ready.' }),
    patient: z.boolean().prefault(false).meta({
      description:
        'Keep waiting when the server rejects the credentials or does not know the database, instead of failing at once.',
    }),
  })
  .prefault({})

const lock = z
  .strictObject({
    timeout: duration('10m').meta({ description: 'How long to wait for another run to finish.' }),
    database: z.string().min(1).prefault('postgres').meta({
      description:
        'Database that all runs on this server take their advisory locks in: set the same one for all of them. Missing databases are created from it too.',
    }),
  })
  .prefault({})

const environmentNames = z
  .array(z.string())
  .optional()
  .meta({ description: 'Load it only if `environment` is one of these.' })

const seedMode = z.enum(['insert', 'upsert', 'sync']).optional()

const seedFolder = z.strictObject({
  dir: z.string().min(1).meta({
    description:
      'Folder of seed files, loaded in the order of their names; then those of its subfolder that is named like `environment`.',
  }),
  mode: seedMode.meta({
    description: 'How its files of rows are loaded, with the primary key. Default: `insert`.',
  }),
  when: environmentNames,
})

const seed = z.union([
  seedFolder,
  z
    .strictObject({
      file: z
        .string()
        .regex(/\.(sql|csv|json|jsonl)$/, 'name a .sql, .csv, .json or .jsonl file')
        .meta({ description: 'A `.sql` file, or one of rows: `.csv`, `.json` or `.jsonl`.' }),
      table: z.string().min(1).optional().meta({ description: 'Table of the rows: `name` or `schema.name`.' }),
      mode: seedMode.meta({
        description:
          '`insert` adds the rows whose key is not in the table yet; `upsert` also updates the rows that differ; `sync` also deletes the rows that the file lacks, and compares at every run. Default: `upsert` with a `key`, otherwise `insert`.',
      }),
      key: z
        .array(z.string())
        .min(1)
        .optional()
        .meta({ description: 'Columns that identify a row; they need a unique index. Default: the primary key.' }),
      scope: z
        .string()
        .refine(predicates.isCondition, 'compare columns with texts and numbers: `managed and kind in (1, 2)`')
        .optional()
        .meta({
          description:
            'With `sync`: the rows that the file stands for, as a condition on columns. Other rows are never deleted. Default: all.',
          examples: ["origin = 'pgbosun'"],
        }),
      maxDeletes: z
        .union([z.int().min(0), z.string().regex(/^(100|\d{1,2})%$/, 'write a number of rows, or a share like 10%')])
        .optional()
        .meta({
          description:
            'With `sync`: how many rows may be deleted at once, or what share of those in the scope; a share other than 0% allows at least 3. Default: 10%.',
        }),
      when: environmentNames,
    })
    .refine(predicates.syncsWhatItScopes, '`scope` and `maxDeletes` are for `mode: sync`'),
])

const check = z
  .strictObject({
    tables: z.array(z.string()).prefault([]).meta({ description: 'Tables that must exist: `name` or `schema.name`.' }),
    indexes: z.array(z.string()).prefault([]).meta({ description: 'Indexes that must exist and be valid.' }),
    columns: z
      .record(z.string(), z.record(z.string(), z.string()))
      .prefault({})
      .meta({ description: 'Columns that must exist, with their type, by table: `users: { telegram_id: bigint }`.' }),
    foreignKeys: z
      .array(z.string().regex(/^[^\s>-][^>]* -> \S.*$/, 'write it like games.user_id -> users.id'))
      .prefault([])
      .meta({
        description:
          'Foreign keys that must exist: `games.user_id -> users.id`, or `t.(a, b) -> u.(c, d)` for several columns.',
      }),
    backupMaxAge: durationText.optional().meta({
      description: 'Maximum age of the newest backup of each database.',
    }),
    passwordAge: durationText.optional().meta({
      description:
        'Maximum age of declared passwords, as far as the audit trail of pgbosun knows it: `check` warns of older ones. PostgreSQL itself does not keep it.',
    }),
    probeTrust: z.boolean().optional().meta({
      description:
        'Let `check` try to log in as each declared user with a wrong password, and warn if the server lets it in. Each attempt is in the log of the server. Default: false.',
    }),
    assertions: z
      .array(
        z.strictObject({
          name: z.string().min(1),
          sql: z
            .string()
            .min(1)
            .meta({ description: 'One query. If all is well, it returns no row, or a single `true`.' }),
          level: z.enum(['error', 'warning']).prefault('error').meta({
            description: 'Whether the check fails when the assertion does not hold, or only warns.',
          }),
        }),
      )
      .prefault([])
      .meta({
        description:
          'Queries about the data. `check`, `status` and the check in `up` run each of them in a read-only transaction, as the owner of the database, for at most 10 s.',
      }),
    shadow: z.boolean().prefault(false).meta({
      description:
        '`check` also applies the migrations to a scratch database and compares its schema with the live one, like `migrate verify --shadow`. Every check then takes as long as all migrations take on an empty database, and needs the right to create databases.',
    }),
  })
  .prefault({})

const serve = z
  .strictObject({
    listen: z
      .string()
      .regex(/^(\[[0-9A-Fa-f:.]+\]|[^\s:[\]/]*):\d{1,5}$/, 'write an address and a port, like [::]:8080')
      .refine(predicates.hasPossiblePort, 'the port must not be above 65535')
      .prefault('[::]:8080')
      .meta({
        description:
          'Address and port of the HTTP server of `serve`. The default, and a port alone (`:9090`), listen on all IPv6 and IPv4 addresses, or on IPv4 only where IPv6 is switched off; `127.0.0.1:8080` is for this machine only.',
      }),
    onUpFailure: z.enum(['exit', 'stay']).prefault('exit').meta({
      description:
        'What `serve` does when `up` fails: `exit` exits with the same code; `stay` makes backups on schedule and tries `up` again.',
    }),
    access: z.enum(['loopback', 'token', 'open']).prefault('loopback').meta({
      description:
        'Who may read the page `/` and `/status.json`, which name databases and show errors: `loopback` (only this machine, which includes `kubectl port-forward` and `docker exec`), `token` (whoever sends the token, also from this machine) or `open` (everybody who can reach the port). The health endpoints answer everybody.',
    }),
    token: secret.optional().meta({
      description:
        'Token for `access: token`. Clients send it as `Authorization: Bearer …`. It is read again for every request.',
    }),
    hosts: z
      .array(
        z
          .string()
          .regex(/^[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?$/i, 'write a name like status.example.org, without scheme or port'),
      )
      .prefault([])
      .meta({
        description:
          'Host names under which the page `/` and `/status.json` may be requested (the `Host` header), besides IP addresses and `localhost`.',
      }),
  })
  .prefault({})

/** The whole configuration. Only keys that work are here: an unknown key is an error. */
export const configSchema = z.strictObject({
  environment: z
    .string()
    .min(1)
    .prefault('dev')
    .meta({ description: 'Name of this environment. A seed with `when` is loaded only if `when` lists it.' }),
  database,
  wait,
  lock,
  migrate: migrateSchema,
  lint: z
    .strictObject({
      server: z.int().min(13).max(99).optional().meta({
        description:
          'Major version of PostgreSQL that the migrations are for, if no database tells it or that one is older. It matters to `migrate lint` and `plan`: where it is newer than their grammar, a syntax error is only a warning.',
      }),
    })
    .prefault({}),
  ...accessKeys,
  seeds: z
    .union([z.array(seed), seedFolder])
    .prefault([])
    .meta({ description: 'Seed data, loaded in this order, each entry in one transaction; or only a folder.' }),
  import: importKeys,
  state: z
    .strictObject({
      readers: z.array(z.string()).prefault([]).meta({ description: 'Roles that may read the state tables.' }),
      keepEvents: duration('400d').meta({ description: 'How long entries of the audit trail are kept.' }),
    })
    .prefault({}),
  backup,
  notify: notifySchema,
  serve,
  check,
})

/** Configuration with every default filled in, durations in milliseconds. */
export type Config = z.output<typeof configSchema>
export type SeedConfig = Extract<Config['seeds'], readonly unknown[]>[number]
export type BackupConfig = Config['backup']
/** What a database must have. */
export type CheckConfig = Omit<Config['check'], 'shadow' | 'assertions'>
