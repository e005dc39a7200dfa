import { usage } from '../../errors.ts'
import { becomeRole } from '../../postgres/become-role.ts'
import type { Session } from '../../postgres/session.ts'
import { inTransaction } from '../../postgres/transaction.ts'
import type { Context } from '../../run/context.ts'
import type { Run } from '../../run/run.ts'
import { seedFailed } from '../../seed/failure.ts'
import { readSeeds } from '../../seed/read.ts'
import { runStatements } from '../../seed/statements.ts'
import type { SqlSeed } from '../../seed/types.ts'
import { withFileSession } from '../isolation/session.ts'
import { placeAs } from '../place.ts'

/** The file of `import.after`, read before anything is changed. @throws {AppError} `usage`, `seed` for what cannot run in a transaction */
export async function readAfter({ loaded }: Context, file: string | undefined): Promise<SqlSeed | undefined> {
  if (file === undefined) return undefined
  if (!file.endsWith('.sql'))
    throw usage(`import.after is ${file}, but only a file of SQL can run after an import`, {
      hint: 'name a file that ends with .sql',
    })
  const [seed] = await readSeeds([{ file }], { baseDir: loaded.baseDir, environment: loaded.config.environment })
  return seed as SqlSeed
}

/**
 * Runs the file in the imported database, in one transaction, as a session that may do what the owner may, and no more.
 * @param own our session there; @param owner whom it will belong to
 */
export async function runAfter(
  run: Run,
  seed: SqlSeed,
  { own, database, owner }: { own: Session; database: string; owner: string },
): Promise<number> {
  const { context } = run
  const place = await placeAs(context, own.sql, undefined, owner)
  return withFileSession(run, { own, database, role: owner }, async ({ session: { sql } }) => {
    try {
      return await inTransaction(sql, async (tx) => {
        await becomeRole(tx, owner, seed.name)
        const rows = await runStatements(tx, seed.text, place)
        await tx.unsafe('set session authorization default; reset all; set role none')
        return rows
      })
    } catch (cause) {
      throw await seedFailed(sql, seed, cause, { log: context.log, place })
    }
  })
}
