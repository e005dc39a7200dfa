import type { Catalog } from '../../archive/catalog-type.ts'
import type { Context } from '../../run/context.ts'
import { connectionOf } from '../readiness.ts'
import { metricsDocument } from './document.ts'
import type { Counts, Measured, MetricFacts } from './facts.ts'
import { metricsType } from './text.ts'

/** What `serve` knows when it is asked for metrics. */
export type Sources = Pick<MetricFacts, 'state' | 'health' | 'schedules' | 'testSchedule' | 'pgClient'> & {
  counts: Counts
  measured: Measured
  /** Undefined before anything is known of the store. */
  known: Catalog['known'] | undefined
}

/** Answers `/metrics` from what is known: nobody is asked. */
export function answerMetrics(context: Context, sources: Sources): { body: string; type: string } {
  const { measured, known = () => [], ...rest } = sources
  const { backup, check } = context.loaded.config
  const body = metricsDocument({
    ...rest,
    ...measured,
    now: new Date(),
    target: connectionOf(context).database,
    name: backup.name,
    testTimeoutMs: backup.timeout,
    maxAgeMs: check.backupMaxAge,
    backupsOf: known,
  })
  return { body, type: metricsType }
}
