// pure
/** The known formats of migration folders and histories; `pgbosun` is our own. */
export const formatNames = [
  'pgbosun',
  'sqlx',
  'dbmate',
  'golang-migrate',
  'goose',
  'flyway',
  'node-pg-migrate',
  'graphile-migrate',
] as const

/** The formats whose tools take several folders; the others take one. */
export const withSeveralFolders: readonly FormatName[] = ['pgbosun', 'dbmate', 'flyway', 'node-pg-migrate']

/** The format whose tool takes the name of its history table from the URL (`x-migrations-table`). */
export const tableInUrl: FormatName = 'golang-migrate'

export type FormatName = (typeof formatNames)[number]
