import type { AppError } from '../../errors.ts'
import type { Script } from '../../formats/types.ts'
import { refuseLargeMessage } from '../../machine/memory.ts'
import { someOf } from '../../units.ts'
import { isUnsendable, type Sending, type Unsendable, unsendableError } from '../plan/sending.ts'
import type { MigrationStep } from '../types.ts'

/** The parts that are each sent as one message. */
const partsOf = (sending: Sending): { text: string }[] =>
  sending.mode === 'wrapped' ? [sending] : sending.mode === 'pieces' ? sending.pieces : sending.units

/** @throws {AppError} for the first step that cannot be sent; names all steps that cannot be applied at all */
export function refuseUnsendable(steps: MigrationStep[]): void {
  refuseAll(steps.filter(({ fake }) => !fake))
  for (const step of steps) if (!step.fake) refuseUnsendableScript(step.name, step, step.sending)
}

/** @throws {AppError} when a script cannot be sent */
export function refuseUnsendableScript(name: string, script: Script, sending: Sending | Unsendable): void {
  if (isUnsendable(sending)) throw unsendableError(name, script, sending)
  refuseLargeMessage(script.path, partsOf(sending))
}

/** The error of the first file that cannot be applied, naming the others. @throws {AppError} */
function refuseAll(migrations: { name: string; refused?: AppError }[]): void {
  const [first, ...others] = migrations.filter(({ refused }) => refused !== undefined)
  if (!first?.refused) return
  if (others.length === 0) throw first.refused
  const names = someOf(others.map(({ name }) => name))
  throw first.refused.with({
    message: `${first.refused.message}; these cannot be applied either: ${names}`,
    report: { refused: [first, ...others].map(({ name }) => name) },
  })
}
