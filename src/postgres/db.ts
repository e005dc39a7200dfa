import type postgres from 'postgres'

/** Anything SQL can be sent on: a session or a transaction of it. Arrays come back as text: select JSON instead. */
// biome-ignore lint/complexity/noBannedTypes: postgres.js spells "no custom types" like this
export type Db = postgres.ISql<{}>

export type Sql = postgres.Sql
