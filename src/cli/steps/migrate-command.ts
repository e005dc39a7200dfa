import type { Session } from '../../db/connect.ts'
import type { StepResult } from '../../migrate/types.ts'
import type { Change } from '../../plan.ts'
import type { Journal } from '../journal.ts'
import type { Run } from '../run.ts'

/** not yet */
export async function migrateByCommand(
  _run: Run,
  _command: string[],
  _session: Session | undefined,
  _options: { show(changes: Change[]): void; journal: Journal | undefined },
): Promise<StepResult[]> {
  throw new Error('not yet')
}
