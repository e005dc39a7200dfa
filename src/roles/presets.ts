// pure
import type { Config } from '../config/schema.ts'

/** Presets of users under `users`: they are about the whole server. */
export type ServerPreset = NonNullable<Config['users'][string]['preset']>

/** What a preset stands for, unless the configuration says otherwise. */
type Meaning = {
  bypassRls: boolean
  /** Whether it reads everything, also what is created later. */
  readAll: boolean
  connectionLimit?: number
  memberOf: string[]
  settings: Record<string, string | number | boolean | string[]>
  /** A database it connects to beside the declared ones. */
  connectsTo(config: Pick<Config, 'lock'>): string
}

export const serverPresets: Record<ServerPreset, Meaning> = {
  backup: {
    // pg_dump refuses to leave out rows that a policy hides
    bypassRls: true,
    readAll: true,
    memberOf: [],
    settings: {
      // no privilege covers large objects; this one would also let it write them, which read-only sessions do not
      lo_compat_privileges: true,
      default_transaction_read_only: true,
    },
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
}
