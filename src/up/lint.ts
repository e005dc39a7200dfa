import { AppError } from '../errors.ts'
import type { Format } from '../formats/format.ts'
import type { Migration } from '../formats/types.ts'
import { everyRule, putsDataAtRisk } from '../lint/at-risk.ts'
import type { Sizes } from '../lint/estimate.ts'
import { type LintOptions, lintFiles } from '../lint/lint.ts'
import { loadParser } from '../lint/parse.ts'
import { findingLine, jsonFinding } from '../lint/render.ts'
import { readMajor, readSizes, readTables } from '../lint/sizes.ts'
import type { Finding } from '../lint/types.ts'
import { refuseLargeLint } from '../machine/memory.ts'
import { lintFilesOf } from '../migrate/plan/lintable.ts'
import { ofOneKind } from '../plan.ts'
import type { Db } from '../postgres/db.ts'
import { visibleSchemas } from '../postgres/search-path.ts'
import type { Context } from '../run/context.ts'
import type { MigrateStep } from './migrate.ts'
import { placeOf } from './place.ts'
import type { MigrateTarget } from './target.ts'

/** The findings, and the sizes of the tables that they are about. */
export type Linted = { findings: Finding[]; sizes: Sizes }

export type LintScope = {
  format: Format
  /** All files, in order: those that are not linted tell which objects exist. */
  files: Migration[]
  isLinted(file: Migration): boolean
  /** Whether the file is known not to be applied yet. */
  isPending(file: Migration): boolean
  /** Undefined: nothing is known of the database. */
  db: Db | undefined
  target?: MigrateTarget | undefined
}

/**
 * Lints files of one database, with the levels of the configuration.
 * @throws {AppError} `migration` when a file does not fit into memory
 */
export async function lint(context: Context, scope: LintScope): Promise<Linted> {
  const { db, target } = scope
  const findings = await findIn(context, scope, { levels: context.loaded.config.migrate.lint.rules })
  return { findings, sizes: db ? await readSizes(db, findings, () => seenBy(context, db, target)) : new Map() }
}

async function findIn(
  context: Context,
  { format, files, isLinted, isPending, db }: LintScope,
  options: Pick<LintOptions, 'levels' | 'heedAllows'>,
): Promise<Finding[]> {
  const chosen = new Set(files.filter(isLinted).map(({ path }) => path))
  for (const { path, text } of files) refuseLargeLint(path, text)
  const [existing, major] = db ? await Promise.all([readTables(db), readMajor(db)]) : []
  return lintFiles({
    parser: await loadParser(),
    files: lintFilesOf(files, format, isPending),
    isLinted: ({ path }) => chosen.has(path),
    ...options,
    ...(existing && { existing }),
    server: newest(context.loaded.config.lint.server, major),
  })
}

/** A file may be run on servers of both versions. */
const newest = (...majors: (number | undefined)[]): number | undefined => {
  const known = majors.filter((major) => major !== undefined)
  return known.length === 0 ? undefined : Math.max(...known)
}

const seenBy = async (context: Context, db: Db, target: MigrateTarget | undefined) =>
  visibleSchemas(db, await placeOf(context, db, target))

/**
 * Lints the files that a plan would apply: the findings become warnings.
 * @throws {AppError} `lint` when one of them is an error
 */
export async function lintPending(context: Context, step: MigrateStep, db: Db | undefined): Promise<void> {
  const scope = pendingScope(step, db)
  if (!scope) return
  const linted = await lint(context, scope)
  refuseErrors(linted)
  for (const ofRule of Map.groupBy(linted.findings, ({ rule }) => rule).values())
    for (const warning of ofOneKind(ofRule.map((finding) => findingLine(finding, linted.sizes))))
      context.out.warn(warning)
}

/** What in the files that a plan would apply loses data or rewrites a table, whatever the levels are and whoever allows it. */
export async function findDataAtRisk(context: Context, step: MigrateStep, db: Db): Promise<Finding[]> {
  const scope = pendingScope(step, db)
  const findings = scope ? await findIn(context, scope, { levels: everyRule, heedAllows: false }) : []
  return findings.filter(putsDataAtRisk)
}

/** The files that a plan would run; undefined if there is none. */
function pendingScope({ format, files, plan, target }: MigrateStep, db: Db | undefined): LintScope | undefined {
  const pending = new Set(plan.steps.filter(({ fake }) => !fake).map(({ path }) => path))
  if (pending.size === 0) return undefined
  const isPending = ({ path }: Migration) => pending.has(path)
  return { format, files, isLinted: isPending, isPending, db, target }
}

/** @throws {AppError} `lint` with all findings in the report, when one of them is an error */
function refuseErrors({ findings, sizes }: Linted): void {
  const failure = lintFailure({ findings, sizes })
  if (failure) throw failure
}

/** The first error as the command's failure; undefined when there is none. */
export function lintFailure({ findings, sizes }: Linted): AppError | undefined {
  const errors = findings.filter(({ level }) => level === 'error')
  const [first] = errors
  if (!first) return undefined
  const others = errors.length > 1 ? ` (and ${errors.length - 1} more)` : ''
  return new AppError('lint', `${first.rule} in ${first.file}: ${first.message}${others}`, {
    hint: `${first.why} Run \`pgbosun migrate lint --explain\` to see everything; docs/lint.md says how to allow it`,
    file: first.path,
    line: first.line,
    column: first.column,
    excerpt: first.excerpt,
    report: { findings: findings.map((finding) => jsonFinding(finding, sizes)) },
  })
}
