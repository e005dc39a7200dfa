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

export type FormatName = (typeof formatNames)[number]
