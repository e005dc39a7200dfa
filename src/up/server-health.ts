import type { BackupFacts } from '../check/backups.ts'
import type { Condition } from '../check/condition-catalogue.ts'
import { judgeServer } from '../check/server-conditions.ts'
import { readServerFacts } from '../check/server-facts.ts'
import { judgeSpace } from '../check/store-space.ts'
import type { Run } from '../run/run.ts'

/** What is wrong with the server, and with the room in the stores; what cannot be asked is a warning. */
export async function serverConditions(
  { cluster, context }: Pick<Run, 'cluster' | 'context'>,
  backups: readonly BackupFacts[],
  now: Date,
): Promise<{ conditions: Condition[]; warnings: string[] }> {
  const space = judgeSpace(spacesOf(backups), [], now)
  try {
    const { conditions } = judgeServer(await readServerFacts(cluster.sql, []), { before: [], now, skew: undefined })
    return { conditions: [...conditions, ...space], warnings: [] }
  } catch (error) {
    if (context.signal.aborted) throw error
    const warning = `connections, transactions and replication slots of the server were not looked at: ${(error as Error).message}`
    return { conditions: space, warnings: [warning] }
  }
}

/** All databases are in the same stores. */
const spacesOf = (backups: readonly BackupFacts[]) =>
  (backups[0]?.free ?? []).map(({ name, freeBytes }) => ({
    name,
    freeBytes,
    newestBytes: backups.flatMap(({ newest }) => newest?.sizeBytes ?? []),
  }))

/** As `check` says it. */
export const saidOf = ({ message, hint }: Condition): string => `${message}: ${hint}`
