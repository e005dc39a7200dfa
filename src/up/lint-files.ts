import { readFile } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { at } from '../config/connection.ts'
import { hasReason, usage } from '../errors.ts'
import { readDirectives } from '../formats/directives.ts'
import { openFormat } from '../formats/open.ts'
import type { Migration } from '../formats/types.ts'
import type { Finding } from '../lint/types.ts'
import { findMigration, planMigrations } from '../migrate/plan/plan.ts'
import { ofOneKind } from '../plan.ts'
import { openSession } from '../postgres/connect.ts'
import { wasLost } from '../postgres/lost.ts'
import type { Session } from '../postgres/session.ts'
import type { Context } from '../run/context.ts'
import { type Linted, lint } from './lint.ts'
import { lookAt } from './migrate.ts'
import type { MigrateTarget } from './target.ts'
import { folderOf, migrateTargets } from './targets.ts'

/** `paths`: files to lint; none is all of them. `after`: only what follows this version, as if it was not applied. */
type Lintable = { paths: string[]; after: string | undefined }

/** `seen` gets the paths of the target's files. */
type Which = { wanted: string[]; seen: Set<string>; after: string | undefined }

export type LintedFiles = Linted & { files: number }

/** Lints migrations, with what a database tells of them where one is configured. */
export async function lintFiles(context: Context, { paths, after }: Lintable): Promise<LintedFiles> {
  const wanted = paths.map((file) => resolve(file))
  const targets = wanted.length > 0 ? await targetsThere(context) : await migrateTargets(context, { needed: true })
  const results: LintedFiles[] = []
  const seen = new Set<string>()
  for (const target of targets) {
    const result = await lintTarget(context, target, { wanted, seen, after })
    if (result) results.push(result)
  }
  const others = wanted.filter((path) => !seen.has(path))
  if (others.length > 0) results.push(await lintOthers(context, others))
  return {
    findings: results.flatMap(({ findings }) => findings),
    sizes: new Map(results.flatMap(({ sizes }) => [...sizes])),
    files: results.reduce((sum, { files }) => sum + files, 0),
  }
}

/** Named files need not be in a folder of migrations, so targets without a folder are left out. */
async function targetsThere(context: Context): Promise<MigrateTarget[]> {
  const targets = await migrateTargets(context)
  return targets.filter(({ folder, format }) => folder !== undefined || format === 'auto')
}

async function lintTarget(context: Context, target: MigrateTarget, which: Which): Promise<LintedFiles | undefined> {
  if (target.command) return undefined
  const session = await openIfThere(context, target)
  try {
    const here = session ? { ...context, connection: () => at(context.connection(), session) } : context
    return await lintOn(here, target, session, which)
  } catch (error) {
    if (!session || !wasLost(error)) throw error
    context.out.warn('linted without the database: the connection was lost')
    return await lintOn(context, target, undefined, which)
  } finally {
    await session?.end()
  }
}

async function lintOn(
  context: Context,
  target: MigrateTarget,
  session: Session | undefined,
  { wanted, seen, after }: Which,
): Promise<LintedFiles | undefined> {
  const look = session ? await lookAt(context, target, session.sql) : undefined
  const folder = look?.folder ?? (await folderOf(context, target, undefined))
  if (!folder) return undefined
  const { format, files } = folder
  for (const { path } of files) seen.add(resolve(path))
  const since = filesAfter(after, files)
  const pending =
    since ?? (look && new Set(planMigrations(look.files, look.history, look.policy).steps.map(({ path }) => path)))
  const isLinted = ({ path }: Migration) =>
    (wanted.length === 0 || wanted.includes(resolve(path))) && (since?.has(path) ?? true)
  const isPending = ({ path }: Migration) => pending?.has(path) ?? false
  refuseUnreadable(context, files.filter(isLinted), pending)
  const linted = await lint(context, { format, files, isLinted, isPending, db: session?.sql, target })
  // Findings in a file that was named are always shown.
  const isApplied = (path: string) => (wanted.length > 0 ? undefined : look && !since ? !pending?.has(path) : undefined)
  const findings = linted.findings.map((finding) => withApplied(finding, isApplied(finding.path)))
  return { ...linted, findings, files: files.filter(isLinted).length }
}

const withApplied = (finding: Finding, applied: boolean | undefined): Finding =>
  applied === undefined ? finding : { ...finding, applied }

/**
 * A file that cannot be applied as it is cannot be linted either.
 * @param pending paths; undefined when it is not known what is applied: the file may then be an old one that does not matter
 * @throws {AppError} `usage`
 */
function refuseUnreadable({ out }: Context, files: Migration[], pending: Set<string> | undefined): void {
  const refusals = files.flatMap(({ path, refused }) => (refused ? [{ path, refused }] : []))
  const stopping = refusals.find(({ path }) => pending?.has(path))
  if (stopping) throw stopping.refused
  if (pending) return
  for (const warning of ofOneKind(refusals.map(({ refused }) => `not linted: ${refused.message}`))) out.warn(warning)
}

/** Paths of the files after `--since`; undefined without it. Repeatable files are always among them. */
function filesAfter(after: string | undefined, files: Migration[]): Set<string> | undefined {
  if (after === undefined) return undefined
  const last = findMigration(files, after)
  if (!last)
    throw usage(`there is no migration ${after}`, {
      hint: 'give the version of a file: the newest one that is applied',
    })
  return new Set(files.slice(files.indexOf(last) + 1).map(({ path }) => path))
}

/** Files outside every folder of migrations are read as files of our own format. */
async function lintOthers(context: Context, paths: string[]): Promise<LintedFiles> {
  const files = await Promise.all(paths.map(readOther))
  const all = () => true
  const linted = await lint(context, {
    format: await openFormat('pgbosun'),
    files,
    isLinted: all,
    isPending: () => false,
    db: undefined,
  })
  return { ...linted, files: files.length }
}

async function readOther(path: string): Promise<Migration> {
  const text = await readFile(path, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    const problem =
      { ENOENT: 'does not exist', EISDIR: 'is a folder' }[cause.code ?? ''] ?? `cannot be read (${cause.code})`
    throw usage(`${path} ${problem}`, { hint: 'name files, or nothing for all of migrate.dir', file: path, cause })
  })
  const name = basename(path).replace(/\.sql$/, '')
  const script = { path, text, line: 1, ...readDirectives(path, text) }
  return { ...script, id: path, name, kind: 'versioned', sha256: '', checksum: null, native: {} }
}

/** A session, where a connection is configured. Without one, or when the database cannot be reached, files are linted all the same. */
async function openIfThere(context: Context, { database }: MigrateTarget): Promise<Session | undefined> {
  const { log, out, runId } = context
  const without = (error: unknown) => {
    out.warn(`linted without the database: ${(error as Error).message}`)
    return undefined
  }
  try {
    const connection = context.connection()
    return await openSession(connection, {
      applicationName: `pgbosun ${runId}`,
      log,
      allowStandby: true,
      ...(database !== undefined && { database }),
    })
  } catch (error) {
    return hasReason(error, 'no-connection') ? undefined : without(error)
  }
}
