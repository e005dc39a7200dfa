import type { Drift } from '../../check/drift.ts'
import { driftJson, renderDrift } from '../../check/drift-render.ts'
import type { ShadowHealth } from '../../check/health.ts'
import { AppError } from '../../errors.ts'
import type { Run } from '../../run/run.ts'
import { counted, plural, seconds, someOf } from '../../units.ts'
import type { MigrateTarget } from '../target.ts'
import { compareWithShadow, type Shadow } from './compare.ts'

/** What a comparison found, for people. */
export function shadowLines({ database, migrations, drift, down, durationMs }: Shadow): string[] {
  const make = `what its ${counted(migrations, 'migration')} ${plural(migrations, 'makes', 'make')}`
  return [
    ...(down ? told('undoing all of them', ['leads back', 'does not lead back'], down.empty) : []),
    ...(down?.again ? told('applying them again', ['makes the same', 'does not make the same'], down.again) : []),
    ...told(database, [`is ${make}`, `is not ${make}`], drift, ` (${seconds(durationMs)})`),
  ]
}

function told(what: string, [fine, different]: [string, string], drift: Drift[], end = ''): string[] {
  return [`shadow    ${what} ${isFine(drift) ? fine : different}${countsOf(drift)}${end}`, ...renderDrift(drift)]
}

const isFine = (drift: Drift[]) => drift.every(({ severity }) => severity === 'note')

function countsOf(drift: Drift[]): string {
  const errors = drift.filter(({ severity }) => severity === 'error').length
  const notes = drift.length - errors
  const parts = [...(errors > 0 ? [counted(errors, 'difference')] : []), ...(notes > 0 ? [counted(notes, 'note')] : [])]
  return parts.length > 0 ? `: ${parts.join(', ')}` : ''
}

/** The fields of one database in the JSON document; null when the comparison was not completed. */
export const shadowFields = (shadow: Shadow | undefined) => ({
  drift: shadow ? driftJson(shadow.drift) : null,
  ...(shadow?.down && {
    down: { empty: driftJson(shadow.down.empty), again: shadow.down.again && driftJson(shadow.down.again) },
  }),
})

/** Exit 50 with the first difference in the message; undefined when there are only notes. */
export function shadowFailure(shadows: Shadow[]): AppError | undefined {
  const [first, ...others] = shadows.flatMap(differencesOf)
  if (first === undefined) return undefined
  const more = others.length > 0 ? ` (and ${others.length} more)` : ''
  return new AppError('unhealthy', `${first.message}${more}`, { hint: first.hint })
}

const ofDrift = 'write a migration for what shall stay, and undo the rest by hand'
const ofUndoing =
  'correct the script that undoes the migration that made it: undoing must remove what the migration made, and nothing else'

/** All errors, each with what to do. */
const differencesOf = ({ database, drift, down }: Shadow): { message: string; hint: string }[] =>
  [
    { found: worded(`${database} is not what its migrations make`, drift, 'error'), hint: ofDrift },
    {
      found: worded('undoing all migrations does not lead back to the start', down?.empty ?? [], 'error'),
      hint: ofUndoing,
    },
    {
      found: worded('applying all migrations again does not make the same', down?.again ?? [], 'error'),
      hint: ofUndoing,
    },
  ].flatMap(({ found, hint }) => found.map((message) => ({ message, hint })))

/** All notes, as messages. */
const notesOf = ({ database, drift }: Shadow): string[] =>
  worded(`${database} is not quite what its migrations make`, drift, 'note')

const worded = (what: string, drift: Drift[], severity: Drift['severity']) =>
  drift
    .filter((one) => one.severity === severity)
    .map(({ state, kind, name, differences }) => {
      const parts = someOf(differences.map((difference) => difference.what))
      return `${what}: ${kind} ${name} is ${state}${parts === '' ? '' : ` (${parts})`}`
    })

/** The comparison as a part of `check`. If it cannot be made, that is an error too, because it was asked for. */
export async function healthOfShadow(run: Run, target: MigrateTarget): Promise<ShadowHealth> {
  try {
    const shadow = await compareWithShadow(run, target)
    const [first = '', ...diff] = shadowLines(shadow)
    return {
      errors: differencesOf(shadow).map(({ message }) => message),
      warnings: notesOf(shadow),
      lines: [first.replace(/^shadow +/, ''), ...diff],
      drift: driftJson(shadow.drift),
    }
  } catch (error) {
    if (run.context.signal.aborted || !(error instanceof AppError) || error.kind === 'unreachable') throw error
    const problem = `the schema could not be compared with what the migrations make: ${error.message}`
    return { errors: [problem], warnings: [], lines: [`not compared: ${error.message}`], drift: null }
  }
}
