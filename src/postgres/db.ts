import type postgres from 'postgres'

/** Anything that can run SQL: a session, or a transaction of one. Arrays are returned as text: select JSON instead. */
// biome-ignore lint/complexity/noBannedTypes: postgres.js spells "no custom types" like this
export type Db = postgres.ISql<{}>

export type Sql = postgres.Sql
