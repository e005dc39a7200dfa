import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { type Db, quoteIdent } from '../db/sql.ts'
import { AppError } from '../errors.ts'
import { findTarget, type Target } from './target.ts'
import type { CsvSeed } from './types.ts'

/** The temporary table that a file is read into; also found in the CONTEXT of COPY's errors. */
export const stage = 'pgbosun_stage'

/**
 * Loads a CSV file within a transaction of the session user; returns how many rows were written.
 * An empty table is copied into directly. Otherwise the rows are staged, and only those that are new or differ are written.
 * @param role who writes the rows
 */
export async function loadCsv(tx: Db, seed: CsvSeed, role: string | undefined): Promise<number> {
  const become = role === undefined ? 'select' : `set local role ${quoteIdent(role)}`
  const target = await findTarget(tx, seed, await readHeader(seed))
  const direct = (target.empty && target.written.length === target.header.length) || target.key.length === 0

  // The stage is made by the session user where it can: the role may lack TEMPORARY on this database. It is filled and read by the role.
  if (!direct && !target.temporary) await tx.unsafe(become)
  if (!direct) await tx.unsafe(createStage(target, role))
  await tx.unsafe(become)

  await copyFile(tx, seed.path, direct ? target.table : stage, target.header)
  await refuseBadKeys(tx, seed, target, direct)
  const rows = direct ? await rowsOf(tx, seed, target) : await writeDifferences(tx, seed, target)
  if (rows > 0) await advanceSequences(tx, target)
  return rows
}
