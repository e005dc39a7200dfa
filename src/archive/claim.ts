import { randomUUID } from 'node:crypto'
import { getText, putText } from '../store/pack.ts'
import type { Store } from '../store/store.ts'
import { claimKey } from './layout.ts'
import type { Manifest } from './manifest.ts'

/** Says who began a series in this store: written with its first good backup, and never replaced. For people, and for other tools. */
export async function ensureClaim(
  store: Store,
  { series, origin, lsn, id, started_at, tool_version }: Manifest,
): Promise<void> {
  const key = claimKey(series.database, series.name, series.system_identifier)
  if (series.kind !== 'logical' || (await getText(store, key)) !== undefined) return
  const claim = {
    claim: randomUUID(),
    ...{ environment: origin?.environment ?? null, host: origin?.host ?? null, timeline: origin?.timeline ?? null },
    ...{ lsn, claimed_by: id, claimed_at: started_at, tool_version },
  }
  await putText(store, key, `${JSON.stringify(claim, undefined, 2)}\n`)
}
