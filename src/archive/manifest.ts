import * as z from 'zod'
import { conflicts } from './two-servers.ts'

/** Version of the manifest that this program writes; it reads every older one. */
export const manifestVersion = 1

const instant = z.iso.datetime()

const sha256 = z.string().regex(/^[0-9a-f]{64}$/)

/** Whether the roles of a backup have their passwords, as the server stores them. */
export const globalsKinds = ['no-passwords', 'with-passwords'] as const
export type Globals = (typeof globalsKinds)[number]

const objectEntry = z.object({
  /** File name in the folder of the backup. */
  name: z.string(),
  size_bytes: z.int().min(0),
  /** SHA-256 of the stored bytes, in hexadecimal. */
  sha256,
  /** That of the content, before it was compressed and encrypted; objects that are not encrypted have none. */
  sha256_plain: sha256.optional(),
})

/** Which rows are counted: all; only up to {@link mostCounted} of a table, and estimated beyond; none. */
export const counts = ['exact', 'sampled', 'none'] as const
export type Counts = (typeof counts)[number]

/** More rows of a table are not counted with `sampled`. */
export const mostCounted = 1_000_000

const setting = z.object({ role: z.string().nullable(), name: z.string(), value: z.string() })

/**
 * `manifest.json`. A folder in the store is a backup if and only if it has one, so it is written last. Unknown fields of a newer program
 * are kept.
 */
export const manifestSchema = z.looseObject({
  schema_version: z.int().min(1),
  id: z.string(),
  /**
   * Retention and catch-up work per series: name, schedule, cluster, database, kind. `before-restore`: the last state of a database that a restore
   * replaced, which may be the damage itself, so it is only restored by its id.
   */
  series: z.object({
    name: z.string(),
    /** One of `backup.schedules`; those of `backup.schedule`, and older ones, have none. */
    schedule: z.string().optional(),
    system_identifier: z.string(),
    database: z.string(),
    kind: z.enum(['logical', 'before-restore']),
  }),
  /** The scheduled instant this backup was made for; null if a person started it. */
  slot: instant.nullable(),
  started_at: instant,
  /** The same instant by the clock of the server; older manifests have none. */
  server_time: instant.nullish(),
  /**
   * Where it was made of a standby: until when everything that was committed on the primary is in it, the positions in the write-ahead log
   * that the standby had received and replayed, and how far it was behind.
   */
  standby: z
    .object({
      replayed_at: instant,
      receive_lsn: z.string().nullable(),
      replay_lsn: z.string().nullable(),
      lag_ms: z.int().min(0),
    })
    .optional(),
  finished_at: instant,
  duration_ms: z.int().min(0),
  tool_version: z.string(),
  server_version: z.string(),
  server_version_num: z.int(),
  client_version: z.string(),
  /** Position in the write-ahead log when the dump started; null if the server does not tell. */
  lsn: z.string().nullable(),
  /** Which server made it: copies of one volume have the same system identifier. Older manifests do not say. */
  origin: z
    .object({
      /** `environment` of the configuration. */
      environment: z.string().nullable(),
      host: z.string(),
      /** Null if the server does not tell. */
      timeline: z.int().nullable(),
      /** What shows that another server than that of the backups before made it. */
      conflict: z.enum(conflicts).nullable(),
    })
    .optional(),
  database: z.object({
    name: z.string(),
    owner: z.string(),
    encoding: z.string(),
    locale_provider: z.string(),
    collate: z.string().nullable(),
    ctype: z.string().nullable(),
    locale: z.string().nullable(),
    icu_rules: z.string().nullable(),
    /** Version of its collation when its indexes were built; null where it has none. Older manifests do not say. */
    collation_version: z.string().nullish(),
    /** Its default tablespace; older manifests do not say. */
    tablespace: z.string().optional(),
    connection_limit: z.int(),
    /** Null: PostgreSQL's default privileges. */
    acl: z.array(z.object({ grantee: z.string(), privilege: z.string(), grantable: z.boolean() })).nullable(),
    settings: z.array(setting),
    comment: z.string().nullable(),
    size_bytes: z.int().min(0),
  }),
  /** Roles that own something in the database, or were granted something. */
  roles: z.array(z.string()),
  /** Those of them that own what only a superuser may own; older manifests do not say. */
  superusers: z.array(z.string()).optional(),
  /** Those of the database, its tables, indexes and materialised views, but `pg_default`; older manifests do not say. */
  tablespaces: z.array(z.string()).optional(),
  /** Versions of the collations in use, by the quoted name; older manifests do not say. */
  collations: z.array(z.object({ name: z.string(), version: z.string() })).optional(),
  extensions: z.array(z.object({ name: z.string(), version: z.string() })),
  /** Newest applied migration, without `.sql`. */
  migration: z.string().nullable(),
  /**
   * What `backup.exclude` left out: names, quoted where SQL requires it, and the entries that meant them. Those in `table_data` are there
   * without their rows. Absent where nothing was left out.
   */
  left_out: z
    .object({
      schemas: z.array(z.string()),
      tables: z.array(z.string()),
      table_data: z.array(z.string()),
      patterns: z.object({
        schemas: z.array(z.string()),
        tables: z.array(z.string()),
        table_data: z.array(z.string()),
      }),
    })
    .optional(),
  /** Rows per table as counted in the snapshot of the dump, by `schema.table`, both quoted where SQL requires it. */
  rows: z.record(z.string(), z.int().min(0)),
  /** MD5 of the first rows per table by primary key, of the tables that have one; older manifests have none. */
  samples: z.record(z.string(), z.object({ rows: z.int().min(0), md5: z.string() })).optional(),
  /** Older manifests, which do not say, are exact. */
  counts: z.enum(counts).optional(),
  /** About how many rows, by the server's statistics, of the tables that were too large to count. They are not in `rows`, and not compared. */
  estimated_rows: z.record(z.string(), z.int().min(0)).optional(),
  objects: z.array(objectEntry),
  /** How its objects are encrypted; those that are not have no such field. */
  encryption: z
    .object({
      format: z.literal('age'),
      /** Fingerprints of the recipients: the first 16 digits of the SHA-256 of each. */
      recipients: z.array(z.string()),
      /** When the first backup of the series was encrypted, as far as was known. */
      since: instant,
      /** When an identity last decrypted a backup of the series, as far as was known when this one was made. */
      decrypted_at: instant.nullable(),
    })
    .optional(),
  /** Whether `globals.sql` has passwords; older manifests, which do not say, have none. */
  globals: z.enum(globalsKinds).optional(),
  /** Size of the uncompressed dump. */
  dump_size_bytes: z.int().min(0),
  warnings: z.array(z.string()),
  /** When the backup was last read back and fully decoded, which is also done right after it is made. */
  verified_at: instant.nullable(),
})

export type Manifest = z.output<typeof manifestSchema>
export type Series = Manifest['series']
