import type { Db } from '../postgres/db.ts'
import { deriveSchema } from './derive.ts'
import { findProblems } from './findings.ts'
import { type ImportOptions, planImport } from './plan.ts'
import type { Prepared } from './prepared.ts'
import { propose } from './propose.ts'
import { findOrphans, readSource, refuseBroken } from './source.ts'
import { prepareSql, readFacts, readShapes } from './statistics.ts'
import { readTarget } from './target.ts'

/**
 * Reads the file and the database, and plans: after this, no value of the file is a surprise. Changes nothing.
 * @param proposing also looks for better types, which takes longer
 * @throws {AppError} `seed` if the file is damaged
 */
export async function prepareImport(
  db: Db,
  { name, opened }: Pick<Prepared, 'name' | 'opened'>,
  options: ImportOptions,
  { proposing = false }: { proposing?: boolean } = {},
): Promise<Prepared> {
  const target = await readTarget(db, options.schema)
  refuseBroken(opened.db, opened.name)
  const source = readSource(opened.db, opened.name)
  const plan = planImport(source, target, options)
  const sql = prepareSql(opened.db, plan)
  const facts = plan.tables.map((table, i) => readFacts(opened.db, opened.name, table, sql[i]!))
  const orphans = findOrphans(opened.db, opened.name, source.tables)
  const shapes = proposing ? readShapes(opened.db, opened.name, plan) : undefined
  return {
    ...{ name, opened, source, plan, sql, facts },
    problems: [...plan.problems, ...findProblems(plan, facts, orphans)],
    warnings: [...plan.warnings, ...(plan.derived ? deriveSchema(plan).warnings : [])],
    proposals: shapes ? propose(plan, (column) => shapes.get(column)) : [],
  }
}
