import * as z from 'zod'
import { accessKeys } from './access.ts'
import { count, duration, durationText, noUrl, secret, timeZone } from './fields.ts'
import { migrateSchema } from './migrate.ts'

const database = z
  .strictObject({
    url: secret.optional().meta({
      description:
        'Where the database is: `postgres://user:password@host:port/name`. Several hosts are separated by commas.',
    }),
    directUrl: secret.optional().meta({
      description: 'Used instead of every other connection setting when `url` points to a connection pooler.',
    }),
    tls: z
      .strictObject({
        mode: z.enum(['disable', 'prefer', 'require', 'verify-ca', 'verify-full']).optional().meta({
          description:
            'As libpq’s sslmode; without it, the `sslmode` of the URL, else `prefer` (`verify-full` once `ca` is set).',
        }),
        ca: noUrl('the path of a file').optional().meta({
          description:
            'File with the certificates of the authorities to trust (PEM), or `system` for those of the system, which also count where a certificate is verified and nothing is set here.',
        }),
        cert: noUrl('the path of a file').optional().meta({ description: 'File with our own certificate (PEM).' }),
        key: noUrl('the path of a file').optional().meta({ description: 'File with the key of `cert` (PEM).' }),
      })
      .prefault({}),
  })
  .prefault({})

const wait = z
  .strictObject({
    timeout: duration('5m').meta({ description: 'How long to wait for the database to accept work.' }),
    patient: z.boolean().prefault(false).meta({
      description:
        'Also wait when the server refuses the credentials or does not know the database, instead of failing at once.',
    }),
  })
  .prefault({})

const lock = z
  .strictObject({
    timeout: duration('10m').meta({ description: 'How long to wait for another runner to finish.' }),
    database: z.string().min(1).prefault('postgres').meta({
      description:
        'The database that all runners of this server take their locks in; also where missing databases are created from.',
    }),
  })
  .prefault({})

const environmentNames = z.array(z.string()).optional().meta({ description: 'Only in these values of `environment`.' })

const seed = z.union([
  z.strictObject({
    dir: z.string().min(1).meta({ description: 'Folder of `.sql` files, loaded in the order of their names.' }),
    when: environmentNames,
  }),
  z.strictObject({
    file: z
      .string()
      .regex(/\.(sql|csv)$/, 'name a .sql or a .csv file')
      .meta({ description: 'A `.sql` or `.csv` file.' }),
    table: z.string().min(1).optional().meta({ description: 'Table of a CSV file: `name` or `schema.name`.' }),
    mode: z.enum(['insert', 'upsert']).optional().meta({
      description:
        '`insert` adds the rows whose key is absent; `upsert` also updates the rows that differ. Default: `upsert` with a `key`, else `insert`.',
    }),
    key: z
      .array(z.string())
      .min(1)
      .optional()
      .meta({ description: 'Columns that identify a row; they need a unique index.' }),
    when: environmentNames,
  }),
])

const check = z
  .strictObject({
    tables: z.array(z.string()).prefault([]).meta({ description: 'Tables that must exist: `name` or `schema.name`.' }),
    indexes: z.array(z.string()).prefault([]).meta({ description: 'Indexes that must exist and be valid.' }),
    columns: z
      .record(z.string(), z.record(z.string(), z.string()))
      .prefault({})
      .meta({ description: 'Columns that must exist, by table, with their type: `users: { telegram_id: bigint }`.' }),
    foreignKeys: z
      .array(z.string().regex(/^[^\s>-][^>]* -> \S.*$/, 'write it like games.user_id -> users.id'))
      .prefault([])
      .meta({
        description:
          'Foreign keys that must exist: `games.user_id -> users.id`, several columns as `t.(a, b) -> u.(c, d)`.',
      }),
    backupMaxAge: durationText.optional().meta({
      description: 'How old the newest backup of each database may be.',
    }),
    assertions: z
      .array(
        z.strictObject({
          name: z.string().min(1),
          sql: z
            .string()
            .min(1)
            .meta({ description: 'One query that returns no row, or one `true`, where all is well.' }),
          level: z.enum(['error', 'warning']).prefault('error'),
        }),
      )
      .prefault([])
      .meta({
        description:
          'Queries about the data, asked by `check`, `status` and the check in `up`, each in a read-only transaction as the owner of the database, for at most 10 s.',
      }),
    shadow: z.boolean().prefault(false).meta({
      description:
        '`check` also applies the migrations to a scratch database and compares its schema with the live one, as `migrate verify --shadow`. Each check then takes as long as all migrations take on an empty database, and needs the right to create databases.',
    }),
  })
  .prefault({})

const kept = (what: string) => count.prefault(0).meta({ description: `${what} 0 switches this rule off.` })

const keepRules = z
  .strictObject({
    within: duration('0d').meta({
      description: 'Keep every backup that is younger than the newest one by less than this.',
    }),
    last: kept('Keep this many of the newest.'),
    hourly: kept('Keep the newest of each of so many hours that have a backup.'),
    daily: kept('The same for days.'),
    weekly: kept('The same for weeks, from Monday on.'),
    monthly: kept('The same for months.'),
    yearly: kept('The same for years.'),
  })
  .refine(
    (rules) => Object.values(rules).some((value) => value !== 0),
    'would keep nothing: set a rule, or `keep: all`',
  )

/** Of `backup.store`. */
export const defaultStore = 'file:///backups'

const backup = z
  .strictObject({
    name: z.string().min(1).prefault('default').meta({
      description: 'Name of this series of backups: two pgbosun with one store and different schedules need two names.',
    }),
    url: secret.optional().meta({
      description:
        'Connection that backups are made with, as the role that may read everything. Default: the target’s.',
    }),
    databases: z.array(z.string().min(1)).min(1).optional().meta({
      description: 'Databases to back up, all on the server of `url`. Default: the target database.',
    }),
    store: z
      .string()
      .regex(/^file:\/\/\//, 'write an absolute folder like file:///backups')
      .prefault(defaultStore)
      .meta({ description: 'Where backups live: `file:///folder`.' }),
    format: z.enum(['custom']).prefault('custom').meta({
      description: 'Format of the dump: `custom` is one compressed, checksummed archive of pg_dump.',
    }),
    timeout: duration('6h').meta({ description: 'A backup that takes longer is stopped and counts as failed.' }),
    schedule: z.string().optional().meta({
      description:
        'When `serve` backs up: five cron fields (`0 3 * * *`), or @hourly, @daily, @weekly, @monthly, @yearly; read in `backup.timezone`. Without it, never.',
    }),
    timezone: timeZone.prefault('UTC').meta({
      description:
        'IANA zone, like `Europe/Berlin`, of the schedule and of the days, weeks, months and years of `keep`.',
    }),
    keep: z
      .union([z.literal('all', { error: 'write rules like { daily: 7, weekly: 4 }, or all' }), keepRules])
      .prefault({ within: '7d' })
      .meta({
        description:
          'Which backups `prune` keeps: those that any of these rules wants, or `all`. Always kept: the newest, the newest verified, anything younger than an hour. Default: `{ within: 7d }`.',
      }),
  })
  .prefault({})

const serve = z
  .strictObject({
    listen: z
      .string()
      .regex(/^(\[[0-9A-Fa-f:.]+\]|[^\s:[\]/]*):\d{1,5}$/, 'write an address and a port, like [::]:8080')
      .refine((text) => Number(text.slice(text.lastIndexOf(':') + 1)) <= 65_535, 'a port is at most 65535')
      .prefault('[::]:8080')
      .meta({
        description:
          'Address and port of `serve`’s HTTP server. The default, and a port alone (`:9090`), is every address of both families, and IPv4 alone where IPv6 is switched off; `127.0.0.1:8080` is this machine only.',
      }),
    onUpFailure: z.enum(['exit', 'stay']).prefault('exit').meta({
      description:
        'What `serve` does when `up` fails: `exit` ends it with the same code; `stay` keeps to the schedule and tries again.',
    }),
    access: z.enum(['loopback', 'token', 'open']).prefault('loopback').meta({
      description:
        'Who may read `/status.json`, which names databases and shows errors: `loopback` (this machine, `kubectl port-forward`, `docker exec`), `token` (who has `token`, on loopback too) or `open` (everybody who reaches the port). The health endpoints answer everybody.',
    }),
    token: secret.optional().meta({
      description: 'What `access: token` asks for: `Authorization: Bearer …`. Read again at every request.',
    }),
    hosts: z
      .array(
        z
          .string()
          .regex(/^[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?$/i, 'write a name like status.example.org, without scheme and port'),
      )
      .prefault([])
      .meta({
        description:
          'Names that `/status.json` may be asked for by (the `Host` header), beside addresses and `localhost`.',
      }),
  })
  .prefault({})

/** The whole configuration. Only keys that work are here: an unknown key is an error. */
export const configSchema = z.strictObject({
  environment: z
    .string()
    .min(1)
    .prefault('dev')
    .meta({ description: 'Name of this environment; selects seeds by their `when`.' }),
  database,
  wait,
  lock,
  migrate: migrateSchema,
  ...accessKeys,
  seeds: z.array(seed).prefault([]).meta({ description: 'Seed data, in this order, each in one transaction.' }),
  state: z
    .strictObject({
      readers: z.array(z.string()).prefault([]).meta({ description: 'Roles that may read the state tables.' }),
      keepEvents: duration('400d').meta({ description: 'How long the audit trail is kept.' }),
    })
    .prefault({}),
  backup,
  serve,
  check,
})

/** Configuration with every default filled in, durations in milliseconds. */
export type Config = z.output<typeof configSchema>
export type SeedConfig = Config['seeds'][number]
export type BackupConfig = Config['backup']
/** What a database is to have. */
export type CheckConfig = Omit<Config['check'], 'shadow' | 'assertions'>
