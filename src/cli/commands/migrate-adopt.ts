import { isAbsolute, relative, resolve } from 'node:path'
import { type FormatName, formatNames } from '../../config/formats.ts'
import { didYouMean } from '../../config/suggest.ts'
import { AppError, usage } from '../../errors.ts'
import { readText } from '../../formats/files.ts'
import type { NewFile } from '../../formats/format.ts'
import { pgbosun } from '../../formats/pgbosun.ts'
import { adoptHistory, missingFiles, writeFolder } from '../../migrate/apply/adopt.ts'
import { readHistory } from '../../migrate/history/history.ts'
import { ownHistoryTable } from '../../migrate/history/history-table.ts'
import { type Adopted, type AdoptPlan, planAdoption } from '../../migrate/plan/adopt.ts'
import { refuseProblems } from '../../migrate/plan/verify.ts'
import type { Change } from '../../plan.ts'
import type { Result } from '../../run/context.ts'
import type { Journal } from '../../run/journal.ts'
import type { Run } from '../../run/run.ts'
import { createStory, jsonSteps } from '../../run/story.ts'
import { applyState } from '../../state/state.ts'
import { yamlWord } from '../../text.ts'
import { type MigrateStep, planMigrateStep, withNativeLock } from '../../up/migrate.ts'
import { defaultRole } from '../../up/owner.ts'
import type { MigrateTarget } from '../../up/target.ts'
import { migrateTargets, onlyTarget } from '../../up/targets.ts'
import { withStory } from '../../up/told.ts'
import { lockFlags } from '../args.ts'
import type { Command, CommandContext } from '../command.ts'

/** `migrate adopt`: from another tool's files and history to ours. */
export const migrateAdopt: Command = {
  name: 'migrate adopt',
  details: "The other tool's files and tables stay as they are.",
  flags: {
    from: {
      type: 'string',
      value: 'FORMAT',
      help: `The format of the files in migrate.dir: ${formatNames.slice(1).join(', ')}.`,
    },
    into: {
      type: 'string',
      value: 'DIR',
      help: 'Folder for the new files. Default: migrate.dir with -pgbosun appended.',
    },
    yes: { type: 'boolean', help: 'Do it. Without --yes, only show what would be done.' },
    'dry-run': { type: 'boolean', help: 'Only show what would be done, even with --yes.' },
    ...lockFlags,
  },
  exits: {
    unreachable: 'no connection within wait.timeout, or the connection was lost',
    locked: 'the run lock was held for too long',
    refused: 'credentials, a missing database or a missing role',
    migration: 'a file contains what only psql understands',
    history: 'the history has a problem, is not that of the format, or was moved already',
    lint: 'a file leaves a transaction open',
  },
  run,
}

/** The plan, with what it was made from. `missing`: files that do not exist yet. */
type Adoption = { look: MigrateStep; plan: AdoptPlan; into: string; missing: NewFile[] }

async function run(context: CommandContext): Promise<Result> {
  const { flags, out } = context
  const format = formatOf(flags.from)
  const target = onlyTarget(context, await migrateTargets(context, { needed: true, format }))
  const into = folderFor(target, flags.into)
  const writes = flags.yes === true && flags['dry-run'] !== true
  const story = createStory(['adopt'], out, { planning: !writes })
  const { plan, missing } = await withStory(context, story, { locks: writes ? 'target' : 'none' }, (run, journal) =>
    story.step('adopt', async (show) => {
      const adoption = await planTarget(run, target, format, into)
      for (const warning of [...adoption.plan.warnings, ...warningsOf(adoption)]) out.warn(warning)
      show(changesOf(adoption, format))
      if (writes) await adoptTarget(run, adoption, journal)
      return adoption
    }),
  )
  const next = nextConfiguration(context, into)
  const needsYes = !writes && story.changes().length > 0
  out.print(
    needsYes
      ? 'nothing was changed yet: run the same command with --yes'
      : `now set ${sentenceOf(next)}, and do not run ${format} any more`,
  )
  return {
    fields: {
      ...{ steps: jsonSteps(story.steps), from: format, into, files: missing.map(({ file }) => file) },
      ...{ migrations: plan.adopted.map(jsonAdopted), configuration: next, needs_yes: needsYes },
    },
  }
}

function formatOf(text: string | boolean | undefined): Exclude<FormatName, 'pgbosun'> {
  const others = formatNames.filter((name) => name !== 'pgbosun')
  const found = others.find((name) => name === text)
  if (found) return found
  const what =
    typeof text === 'string'
      ? `--from ${text}: there is no such format${didYouMean(text, others)}`
      : 'migrate adopt needs --from with the format of the files in migrate.dir'
  throw usage(what, { hint: `use one of ${others.join(', ')}` })
}

/** @throws {AppError} `usage` for a folder inside the other tool's, because that tool might read it */
function folderFor({ dir }: MigrateTarget, wanted: string | boolean | undefined): string {
  const into = typeof wanted === 'string' ? resolve(wanted) : `${resolve(dir)}-pgbosun`
  const inside = relative(dir, into)
  if (inside.startsWith('..') || isAbsolute(inside)) return into
  throw usage(`the new files cannot be written to ${into}, because the old ones are in ${dir}`, {
    hint: 'give another folder with --into, outside the old one',
  })
}

/** @throws {AppError} `history` when the tool has no history here, or its history has problems; `usage` when the folder is not empty */
async function planTarget(run: Run, target: MigrateTarget, format: FormatName, into: string): Promise<Adoption> {
  // The only target is always the database that the run is about; without it there is no run.
  const { sql } = run.target!
  const look = await planMigrateStep(run.context, target, sql, { records: ['migrations'] })
  if (!look.historyTable?.native?.exists) {
    throw new AppError('history', `there is no history of ${format} in this database`, {
      hint: 'set `migrate.table` if the history table has another name; if nothing was applied yet, there is nothing to move',
    })
  }
  const own = await readHistory(sql, ownHistoryTable(pgbosun))
  const plan = planAdoption(look.files, look.history, {
    format: look.format,
    policy: strictly(run.context, look),
    own,
    sourceOf: readText,
  })
  refuseProblems(plan.problems)
  return { look, plan, into, missing: missingFiles(into, plan.files) }
}

/** What will be different with our format. */
function warningsOf({ look: { folder, files, historyTable, format } }: Adoption): string[] {
  const paths = new Set(files.map(({ path }) => path))
  const left = folder?.files.filter(({ path }) => !paths.has(path)).map(({ name }) => name) ?? []
  const schema = format.native?.prepare && historyTable?.native?.schema
  return [
    ...(left.length > 0
      ? [`not moved, because a baseline migration replaces them or they are for new databases only: ${left.join(', ')}`]
      : []),
    ...(schema && schema !== 'public'
      ? [
          `${format.name} puts the schema ${schema} first in the search_path of each file, but pgbosun does not: set search_path for the role or the database`,
        ]
      : []),
  ]
}

/** What our format does with a file that is out of order, unless the configuration says otherwise: the tool's own rule no longer applies. */
const strictly = ({ loaded }: Run['context'], { policy }: MigrateStep) => ({
  ...policy,
  outOfOrder: loaded.config.migrate.outOfOrder ?? pgbosun.policy.outOfOrder,
})

function changesOf({ look, plan, missing }: Adoption, format: FormatName): Change[] {
  const files = missing.map(({ file }) => ({ action: 'write', object: `file ${file}`, reason: 'does not exist yet' }))
  const rows = plan.adopted
    .filter(({ state }) => state === 'adopt')
    .map(({ file, from, row }) => ({
      action: 'adopt',
      object: `migration ${file.name}`,
      reason: `${format} applied ${from.name}${row?.appliedAt ? ` at ${row.appliedAt}` : ''}`,
    }))
  const state = rows.length > 0 ? look.changes.filter(({ object }) => !object.startsWith('migration ')) : []
  return [...state, ...files, ...rows]
}

const jsonAdopted = ({ file, from, state, row }: Adopted) => ({
  ...{ name: file.name, from: from.name, state, applied_at: row?.appliedAt ?? null },
})

async function adoptTarget(run: Run, { look, plan, into, missing }: Adoption, journal: Journal): Promise<void> {
  const { sql } = run.target!
  const { state, folder, historyTable, history, target } = look
  writeFolder(into, missing)
  if (plan.adopted.every((one) => one.state !== 'adopt')) return
  if (state.length > 0) {
    await journal.beforeChange()
    await applyState(sql, state)
  }
  const role = await defaultRole(run.context, sql, target)
  await withNativeLock(run, look, historyTable!, () =>
    adoptHistory({
      ...{ sql, historyTable: historyTable!, files: folder?.files ?? [], history, plan, role },
      lockTimeoutMs: run.context.loaded.config.migrate.lockTimeout,
      toolVersion: run.context.version,
      beforeChange: journal.beforeChange,
      guard: run.guard,
    }),
  )
}

/** What the configuration must say from now on. */
function nextConfiguration(context: CommandContext, into: string): Record<string, string> {
  const { config, baseDir } = context.loaded
  const name = context.connection().database
  const path = config.databases[name]?.migrate ? `databases.${name}.migrate` : 'migrate'
  return { [`${path}.format`]: 'pgbosun', [`${path}.dir`]: relative(baseDir, into) }
}

const sentenceOf = (next: Record<string, string>) =>
  Object.entries(next)
    .map(([key, value]) => `${key}: ${yamlWord(value)}`)
    .join(' and ')
