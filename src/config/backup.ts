import * as z from 'zod'
import { defaultStore } from './default-store.ts'
import { count, duration, durationText, loginSecret, secret, size, timeZone } from './fields.ts'
import { predicates } from './predicates.ts'
import { s3ForAll, s3Keys, storeUrl } from './s3.ts'
import { urlSource } from './url-source.ts'

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
      kind: z
        .literal('logical', { error: 'write logical: pg_dump makes the backups' })
        .optional()
        .meta({ description: 'How its backups are made: `logical`, by pg_dump, is the only kind.' }),
      stores: z.array(storePlace).min(1).optional().meta({
        description: 'The stores that its backups go to: URLs of `backup.stores`. Default: all.',
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
    password: loginSecret.optional().meta({ description: 'Password for a `url` without one.' }),
    maxBytes: size('20GiB').meta({ description: 'A larger database is not restored for a test.' }),
  })
  .refine(predicates.hasUrlForPassword, '`password` is set, but `url` is not')
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

/** `backup`: what is backed up, when, where to, and what stays. */
export const backup = z
  .strictObject({
    name: z.string().min(1).prefault('default').meta({
      description:
        'Name of this series of backups. If two pgbosun share a store but have different schedules, give each its own name.',
    }),
    url: urlSource.optional().meta({
      description:
        'Connection for making backups, as a role that may read everything. It may lead to a standby: see `maxLag`. Default: the connection of the target database.',
    }),
    password: loginSecret.optional().meta({ description: 'Password for a `url` without one.' }),
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
    keepBefore: z
      .union([
        z.literal('condition', { error: 'write condition, or { drop: 7d }' }),
        z.strictObject({ drop: durationText.meta({ description: 'How long after the restore.' }) }),
      ])
      .prefault('condition')
      .meta({
        description:
          'What becomes of the database that a restore has replaced. `condition`: it stays until `pgbosun restore --discard`. `{ drop: 7d }`: `serve` drops it that long after the restore, if the backup made just before is verified and nothing shows that it is still used or was written to.',
      }),
    verify,
  })
  .refine(predicates.hasUrlForPassword, '`password` is set, but `url` is not')
  .refine(predicates.usesS3, '`s3` is set, but no store is in S3: write s3://bucket/prefix, or remove `s3`')
  .refine(predicates.hasEachStoreOnce, { error: 'names a store twice', path: ['stores'] })
  .refine(predicates.schedulesOnce, {
    error: '`schedule` is set, too: name that schedule in this list, and remove it there',
    path: ['schedules'],
  })
  .refine(predicates.knowsStores, {
    error: '`stores` of a schedule names a store that is not in `backup.stores`',
    path: ['schedules'],
  })
  .refine(predicates.encryptsPasswords, {
    error: 'passwords of roles are only stored encrypted: set `encrypt`, or leave them out with `no-passwords`',
    path: ['globals'],
  })
  .prefault({})
