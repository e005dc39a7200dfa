// pure
import type { Config } from '../config/schema.ts'

/** Presets under `users`: they apply to the whole server. */
export type ServerPreset = NonNullable<Config['users'][string]['preset']>

/** Presets under `databases.D.users`. */
export type DatabasePreset = 'app' | 'owner' | 'rw' | 'readonly'

/** The meaning of a preset in a database, unless the configuration says otherwise. */
export const databasePresets: Record<
  DatabasePreset,
  {
    /** Whether it is a member of the owner, and its sessions start as the owner. */
    asOwner: boolean
    /** Its access to the declared schemas. */
    level?: 'read' | 'write'
    settings: Record<string, string | boolean>
  }
> = {
  app: { asOwner: true, settings: {} },
  owner: { asOwner: true, settings: {} },
  rw: { asOwner: false, level: 'write', settings: {} },
  readonly: {
    asOwner: false,
    level: 'read',
    settings: {
      default_transaction_read_only: true,
      statement_timeout: '5min',
      idle_in_transaction_session_timeout: '5min',
    },
  },
}

/** The meaning of a preset, unless the configuration says otherwise. */
type Meaning = {
  bypassRls: boolean
  replication?: boolean
  /** Whether it may read everything, including what is created later. */
  readAll: boolean
  connectionLimit?: number
  memberOf: string[]
  settings: Record<string, string | number | boolean | string[]>
  /** Those of the settings that only servers older than a major need. */
  settingsBefore?: Record<string, number>
  /** A database it may connect to, in addition to the declared ones; without, it may connect to none. */
  connectsTo?(config: Pick<Config, 'lock'>): string
}

export const serverPresets: Record<ServerPreset, Meaning> = {
  backup: {
    // pg_dump fails rather than leave out rows that a policy hides
    bypassRls: true,
    readAll: true,
    memberOf: [],
    settings: {
      // Before 19, no privilege covers reading large objects. This setting would also allow writing them, but read-only sessions cannot.
      lo_compat_privileges: true,
      default_transaction_read_only: true,
    },
    settingsBefore: { lo_compat_privileges: 19 },
    connectsTo: ({ lock }) => lock.database,
  },
  monitor: {
    bypassRls: false,
    readAll: false,
    connectionLimit: 5,
    memberOf: ['pg_monitor'],
    settings: {
      statement_timeout: '10s',
      default_transaction_read_only: true,
      search_path: ['pg_catalog', 'public'],
    },
    connectsTo: () => 'postgres',
  },
  replication: {
    bypassRls: false,
    replication: true,
    readAll: false,
    connectionLimit: 5,
    memberOf: [],
    settings: {},
  },
}
