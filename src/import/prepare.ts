import type { Db } from '../postgres/db.ts'
import { deriveSchema } from './derive.ts'
import { orphanProblems, type TableFacts, valueProblems } from './findings.ts'
import { type ImportOptions, planImport } from './plan.ts'
import type { Inspected, Prepared } from './prepared.ts'
import { propose } from './propose.ts'
import { findOrphans, readSource, refuseBroken } from './sqlite/source.ts'
import { countRows, prepareSql, readFacts, readShapes } from './sqlite/statistics.ts'
import { readTarget } from './target.ts'

/**
 * Reads what the file and the database are made of, and plans. Changes nothing.
 * @throws {AppError} `seed` if the file is damaged
 */
export async function prepareImport(
  db: Db,
  { name, opened }: Pick<Prepared, 'name' | 'opened'>,
  options: ImportOptions,
): Promise<Prepared> {
  const target = await readTarget(db, options.schema)
  refuseBroken(opened.db, opened.name)
  const source = readSource(opened.db, opened.name)
  const plan = planImport(source, target, options)
  const orphans = findOrphans(opened.db, opened.name, source.tables)
  return {
    ...{ name, opened, source, plan, sql: prepareSql(opened.db, plan) },
    rows: plan.tables.map((table) => countRows(opened, table)),
    problems: [...plan.problems, ...orphanProblems(plan, orphans)],
    warnings: [...plan.warnings, ...(plan.derived ? deriveSchema(plan).warnings : [])],
  }
}

/**
 * Reads every value, for a plan: those that cannot be converted are problems.
 * @param onPart called in between; throws to stop
 */
export async function inspectValues({ opened, plan, sql, problems }: Prepared, onPart: () => void): Promise<Inspected> {
  const facts: TableFacts[] = []
  for (const [i, table] of plan.tables.entries())
    facts.push(await readFacts(opened.db, opened.name, table, sql[i]!, onPart))
  return { facts, problems: [...problems, ...valueProblems(plan, facts)] }
}

/** Lines for `types`, as all values look. */
export function proposeTypes({ opened, plan }: Prepared): string[] {
  const shapes = readShapes(opened.db, opened.name, plan)
  return propose(plan, (column) => shapes.get(column))
}
