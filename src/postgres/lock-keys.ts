// pure
/** First keys of the advisory locks. Permanent: different versions of pgbosun must exclude each other. */
export const runKey = 1885823599
export const backupKey = 1885823586
export const workKey = 1885823607
export const notifyKey = 1885823598

/** The object of the run lock for changes of databases and roles. */
export const clusterObject = 0

/**
 * Second key of a database's run lock, or of another thing with a name: CRC-32 of the name in UTF-8, as PostgreSQL's int4.
 * Not with `node:zlib`: loading that takes 3 to 5 ms of every run.
 */
export function databaseObject(database: string): number {
  let crc = -1
  for (const byte of Buffer.from(database)) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1))
  }
  return ~crc
}
