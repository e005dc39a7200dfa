import { relative } from 'node:path'
import { usage } from '../../errors.ts'
import { jsonFinding, renderFinding, renderGithub, renderLine, renderSummary } from '../../lint/render.ts'
import type { Finding } from '../../lint/types.ts'
import type { Result } from '../../run/context.ts'
import { lintFailure } from '../../up/lint.ts'
import { lintFiles } from '../../up/lint-files.ts'
import type { Command, CommandContext } from '../command.ts'

/** `migrate lint`: finds what is dangerous in the files, without applying anything. */
export const migrateLint: Command = {
  name: 'migrate lint',
  details: 'Needs no database; with one it knows the sizes of tables.',
  args: { usage: '[FILES…]', min: 0, max: Number.POSITIVE_INFINITY },
  flags: {
    since: {
      type: 'string',
      value: 'VERSION',
      help: 'Only the files after this version, and treat them as not applied yet.',
    },
    format: { type: 'string', value: 'text|github', help: 'github: annotations for a workflow. Default: text.' },
    all: {
      type: 'boolean',
      help: 'With a database: also show findings in files that are already applied. By default they are only counted.',
    },
    explain: { type: 'boolean', help: 'Show each finding with its line, lock, reason, and the safe way as SQL.' },
  },
  startsAnew: true,
  exits: {
    lint: 'a finding has the level error (with --all, also one in a file that is already applied)',
    migration: 'a file does not fit into memory',
    history: 'the history table is not that of migrate.format',
  },
  run,
}

async function run(context: CommandContext): Promise<Result> {
  const { flags, out } = context
  const format = flags.format ?? 'text'
  if (format !== 'text' && format !== 'github')
    throw usage(`there is no format ${format}`, { hint: 'use text or github' })
  const {
    findings: all,
    sizes,
    files,
  } = await lintFiles(context, {
    paths: context.args,
    after: typeof flags.since === 'string' ? flags.since : undefined,
  })
  const isFolded = ({ applied = false }: Finding) => applied && flags.all !== true
  const findings = all.filter((finding) => !isFolded(finding))
  const here = findings.map((finding) => ({ ...finding, path: relative(process.cwd(), finding.path) }))
  if (format === 'github') for (const finding of here) out.print(renderGithub(finding, sizes, finding.path))
  else if (flags.explain === true) for (const finding of here) out.print([...renderFinding(finding, sizes), ''])
  else if (here.length > 0) out.print([...here.map((finding) => renderLine(finding, sizes)), ''])
  if (format === 'text') out.print(renderSummary(findings, files, all.filter(isFolded)))
  return {
    fields: { files, findings: all.map((finding) => jsonFinding(finding, sizes)) },
    failure: lintFailure({ findings, sizes }),
  }
}
