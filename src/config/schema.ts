import * as z from 'zod'
import { accessKeys } from './access.ts'
import { defaultStore } from './default-store.ts'
import { count, duration, durationText, noUrl, secret, size, timeZone } from './fields.ts'
import { migrateSchema } from './migrate.ts'
import { predicates } from './predicates.ts'
import { s3ForAll, s3Keys, storeUrl } from './s3.ts'
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
        '`insert` adds the rows whose key is not in the table yet; `upsert` also updates the rows that differ. Default: `upsert` with a `key`, otherwise `insert`.',
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

const kept = (what: string) => count.prefault(0).meta({ description: `${what} 0 switches this rule off.` })

const keepRules = z
  .strictObject({
    within: duration('0d').meta({
      description: 'Keep every backup that was made less than this before the newest one.',
    }),
    last: kept('Keep this many of the newest backups.'),
    hourly: kept('Keep the newest backup of each hour, for this many hours. Hours without a backup do not count.'),
    daily: kept('The same for days.'),
    weekly: kept('The same for weeks, which start on Monday.'),
    monthly: kept('The same for months.'),
    yearly: kept('The same for years.'),
  })
  .refine(predicates.keepsSomething, 'would keep nothing: set a rule, or `keep: all`')

const keep = z.union([z.literal('all', { error: 'write rules like { daily: 7, weekly: 4 }, or all' }), keepRules])

const storePlace = z
  .string()
  .regex(storeUrl, 'write file:///folder with an absolute path, s3://bucket/prefix or rclone://remote/path')

const storeEntry = z
  .strictObject({
    url: storePlace,
    keep: keep.optional().meta({ description: 'Which backups stay in this store. Default: `backup.keep`.' }),
    mustBeMount: z.boolean().optional().meta({
      description:
        'For a folder: write nothing to it unless a volume is mounted there, or above it. Without the volume, a backup in it fails.',
    }),
    s3: s3Keys.optional().meta({ description: 'How this store in S3 is reached. Default, key by key: `backup.s3`.' }),
  })
  .refine(predicates.fitsItsUrl, '`s3` is for s3://, and `mustBeMount` for file:///')
const schedules = z
  .array(
    z.strictObject({
      name: z
        .string()
        .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$/, 'write at most 63 letters, digits, `_`, `.` and `-`')
        .meta({ description: 'Its name. Backups of another name are another series.' }),
      schedule: z.string().meta({ description: 'When `serve` makes its backups, written like `backup.schedule`.' }),
      keep: keep.optional().meta({
        description: 'Which of its backups `prune` keeps, written like `backup.keep`, which is the default.',
      }),
    }),
  )
  .min(1)
  .refine(predicates.haveOwnNames, 'two schedules have the same name')
  .optional()
  .meta({
    description:
      'Several schedules instead of `schedule`. The backups of each are a series of their own, with slots and `keep` of its own. `backup run` joins the first, or that of `--schedule`.',
  })

const verify = z
  .strictObject({
    schedule: z.string().optional().meta({
      description:
        'When `serve` restores the newest backup of each database to see whether it can be restored: five cron fields, in the time zone `backup.timezone`. Needs `url`, or `where: same-server`. Default: never.',
    }),
    where: z.enum(['url', 'same-server']).prefault('url').meta({
      description:
        'Where backups are restored for a test: on the server of `url`, which must not be the one that was backed up, or on that very server (`same-server`).',
    }),
    url: urlSource.optional().meta({
      description:
        'Connection for test restores, as a user that may create databases. With `where: same-server` it must not be a superuser. Default with `same-server`: the connection of the target database.',
    }),
    maxBytes: size('20GiB').meta({ description: 'A larger database is not restored for a test.' }),
  })
  .refine(predicates.knowsTestServer, 'a schedule of test restores needs `url`, or `where: same-server`')
  .prefault({})

const encrypt = z
  .strictObject({
    recipients: z
      .array(
        z
          .string()
          .refine(
            predicates.isRecipient,
            'this is not a recipient of age: copy it whole from `age-keygen`, age1 and 58 more characters',
          ),
      )
      .min(1)
      .meta({
        description:
          'For whom backups are encrypted: the public halves of identities of the program `age`, like `age1…`. Each identity alone opens them: name at least two, and keep one identity far from here.',
      }),
    identity: secret.optional().meta({
      description:
        'The identity (`AGE-SECRET-KEY-1…`), or several in lines, as `age-keygen` writes them. Only needed where backups are verified by decoding them, restored or fetched: making them never reads it.',
    }),
  })
  .optional()
  .meta({
    description:
      'Encrypts backups, in the format of the program `age`. Without it, they are compressed and not encrypted. Who loses every identity has lost the backups.',
  })

const sign = z
  .strictObject({
    secret: secret.meta({
      description:
        'At least 32 characters, like those of `openssl rand -hex 32`, that are nowhere in the store. Several may stand in lines: the first signs, and each is accepted. Needed wherever backups are made, listed, verified, pruned, checked or restored.',
    }),
  })
  .optional()
  .meta({
    description:
      'Signs each backup, so that who can write to the store cannot add one: without a valid signature, a backup is never the latest, never restored, and never counted. Those made before it was set have none.',
  })

const tableNames = z
  .array(
    z
      .string()
      .refine(
        predicates.namesTable,
        'write `table`, `schema.table` or a pattern like `audit.log_*`; a name with a dot or a quote goes in double quotes',
      ),
  )
  .prefault([])

const exclude = z
  .strictObject({
    schemas: z
      .array(
        z
          .string()
          .refine(
            predicates.namesSchema,
            'write a schema or a pattern like `tmp_*`; a name with a dot or a quote goes in double quotes',
          ),
      )
      .prefault([])
      .meta({ description: 'Schemas that are left out with everything in them.' }),
    tables: tableNames.meta({
      description:
        'Tables, views and sequences that are left out, each with its partitions and other tables that inherit from it: `table` in schema `public`, or `schema.table`.',
    }),
    tableData: tableNames.meta({
      description: 'Tables that are backed up without their rows, written as in `tables`.',
    }),
  })
  .prefault({})

const backup = z
  .strictObject({
    name: z.string().min(1).prefault('default').meta({
      description:
        'Name of this series of backups. If two pgbosun share a store but have different schedules, give each its own name.',
    }),
    url: urlSource.optional().meta({
      description:
        'Connection for making backups, as a role that may read everything. It may lead to a standby: see `maxLag`. Default: the connection of the target database.',
    }),
    databases: z.array(z.string().min(1)).min(1).optional().meta({
      description:
        'Databases to back up, all on the server of `url`: names, or patterns with `*` for any characters and `?` for one. A pattern never means templates, databases that accept no connections, and those that a restore or a comparison made or replaced. Default: the target database.',
    }),
    exclude: exclude.meta({
      description:
        'What is left out of every backup. Such a backup never replaces a database: it is only restored into a new one. In names, `*` stands for any characters and `?` for one, unless they are in double quotes.',
    }),
    store: storePlace.prefault(defaultStore).meta({
      description:
        'Where backups are stored: `file:///folder`, `s3://bucket/prefix`, or `rclone://remote/path` with a remote of rclone, which must be installed.',
    }),
    stores: z
      .array(z.union([storePlace, storeEntry]))
      .min(1)
      .optional()
      .meta({
        description:
          'Several stores instead of `store`: each backup goes to all of them. Each is a URL, or a map with `url`. The first sets the pace; one that fails or is too slow is left out of a backup and filled afterwards by `backup copy`, which `serve` does by itself.',
      }),
    s3: s3ForAll,
    encrypt,
    sign,
    globals: z.enum(['no-passwords', 'with-passwords']).prefault('no-passwords').meta({
      description:
        'Whether `globals.sql`, the roles of the server, has their passwords as the server stores them. `with-passwords` needs `encrypt`, and a superuser.',
    }),
    format: z.enum(['custom']).prefault('custom').meta({
      description: 'Format of the dump. `custom`: one compressed archive of pg_dump, with checksums.',
    }),
    counts: z.enum(['exact', 'sampled', 'none']).prefault('exact').meta({
      description:
        'Whether a backup counts the rows of each table, which a restore then compares: `exact` counts all; `sampled` only tables of up to 1,000,000 rows, of larger ones it notes an estimate that is not compared; `none` counts nothing.',
    }),
    timeout: duration('6h').meta({
      description: 'A backup that takes longer than this is stopped and counts as failed.',
    }),
    maxLag: duration('5m').meta({
      description:
        'How far the standby that `url` leads to may be behind its primary. A backup of one further behind is refused.',
    }),
    schedule: z.string().optional().meta({
      description:
        'When `serve` makes backups: five cron fields (`0 3 * * *`), or @hourly, @daily, @weekly, @monthly, @yearly, in the time zone `backup.timezone`. Default: never.',
    }),
    schedules,
    timezone: timeZone.prefault('UTC').meta({
      description:
        'IANA time zone, like `Europe/Berlin`, of the schedules and of the hours, days, weeks, months and years of `keep`.',
    }),
    retries: count.prefault(2).meta({
      description:
        'How often `serve` tries a scheduled backup again that has failed, after a minute, then after an hour each time. After that, the next slot is the next try.',
    }),
    jitter: duration('0s').meta({
      description:
        'Starts each scheduled backup later than its slot, by less than this, than the time between two slots and than a day. How much depends on the name of the host, the database and the slot, so that many pgbosun with one schedule do not start at once.',
    }),
    keep: keep.prefault({ within: '7d' }).meta({
      description:
        'Which backups `prune` keeps: those that at least one of these rules keeps, or `all`. It always keeps the newest backup, the newest verified one, and everything younger than an hour. Default: `{ within: 7d }`.',
    }),
    verify,
  })
  .refine(predicates.usesS3, '`s3` is set, but no store is in S3: write s3://bucket/prefix, or remove `s3`')
  .refine(predicates.hasEachStoreOnce, { error: 'names a store twice', path: ['stores'] })
  .refine(predicates.schedulesOnce, {
    error: '`schedule` is set, too: name that schedule in this list, and remove it there',
    path: ['schedules'],
  })
  .refine(predicates.encryptsPasswords, {
    error: 'passwords of roles are only stored encrypted: set `encrypt`, or leave them out with `no-passwords`',
    path: ['globals'],
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
        'Who may read `/status.json`, which names databases and shows errors: `loopback` (only this machine, which includes `kubectl port-forward` and `docker exec`), `token` (whoever sends the token, also from this machine) or `open` (everybody who can reach the port). The health endpoints answer everybody.',
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
          'Host names under which `/status.json` may be requested (the `Host` header), besides IP addresses and `localhost`.',
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
    .array(seed)
    .prefault([])
    .meta({ description: 'Seed data, loaded in this order, each entry in one transaction.' }),
  state: z
    .strictObject({
      readers: z.array(z.string()).prefault([]).meta({ description: 'Roles that may read the state tables.' }),
      keepEvents: duration('400d').meta({ description: 'How long entries of the audit trail are kept.' }),
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
/** What a database must have. */
export type CheckConfig = Omit<Config['check'], 'shadow' | 'assertions'>
