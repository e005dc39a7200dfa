import { isAbsolute, relative, resolve } from 'node:path'
import { type FormatName, formatNames } from '../../config/formats.ts'
import { didYouMean } from '../../config/suggest.ts'
import { usage } from '../../errors.ts'
import type { Adopted } from '../../migrate/plan/adopt.ts'
import type { Result } from '../../run/context.ts'
import { createStory, jsonSteps } from '../../run/story.ts'
import { yamlWord } from '../../text.ts'
import { adoptChanges, applyAdoptStep, planAdoptStep, warningsOfAdoption } from '../../up/adopt.ts'
import type { MigrateTarget } from '../../up/target.ts'
import { migrateTargets, onlyTarget } from '../../up/targets.ts'
import { underNativeLock } from '../../up/under-lock.ts'
import { withStory } from '../../up/with-story.ts'
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
      help: 'Folder for the new files. Default: the first folder of migrate.dir with -pgbosun appended.',
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

async function run(context: CommandContext): Promise<Result> {
  const { flags, out } = context
  const format = formatOf(flags.from)
  const target = onlyTarget(context, await migrateTargets(context, { needed: true, format }))
  const into = folderFor(target, flags.into)
  const writes = flags.yes === true && flags['dry-run'] !== true
  const story = createStory(['adopt'], out, { planning: !writes })
  const { plan, missing } = await withStory(context, story, { locks: writes ? 'target' : 'none' }, (run, journal) =>
    story.step('adopt', (show) =>
      underNativeLock(run, target, writes ? run.target : undefined, async (run) => {
        const adoption = await planAdoptStep(run, target, format, into)
        for (const warning of [...adoption.plan.warnings, ...warningsOfAdoption(adoption)]) out.warn(warning)
        show(adoptChanges(adoption, format))
        if (writes) await applyAdoptStep(run, adoption, journal)
        return adoption
      }),
    ),
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
function folderFor({ dirs }: MigrateTarget, wanted: string | boolean | undefined): string {
  const into = typeof wanted === 'string' ? resolve(wanted) : `${resolve(dirs[0])}-pgbosun`
  const around = dirs.find((dir) => isInside(dir, into))
  if (around === undefined) return into
  throw usage(`the new files cannot be written to ${into}, because the old ones are in ${around}`, {
    hint: 'give another folder with --into, outside the old one',
  })
}

function isInside(dir: string, path: string): boolean {
  const inside = relative(dir, path)
  return !inside.startsWith('..') && !isAbsolute(inside)
}

const jsonAdopted = ({ file, from, state, row }: Adopted) => ({
  ...{ name: file.name, from: from.name, state, applied_at: row?.appliedAt ?? null },
})

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
