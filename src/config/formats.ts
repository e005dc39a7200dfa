// pure
/** Formats of migration folders and histories that are known; `pgbosun` is our own. */
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

export type FormatName = (typeof formatNames)[number]
