// pure
import { backupFamilies } from './backups.ts'
import { conditionFamilies } from './conditions.ts'
import { otherFamilies } from './database.ts'
import type { MetricFacts } from './facts.ts'
import { renderMetrics } from './text.ts'

/** The document of `/metrics`. What is not known has no line, so that nobody takes it for 0. */
export const metricsDocument = (facts: MetricFacts): string =>
  renderMetrics([...conditionFamilies(facts), ...backupFamilies(facts), ...otherFamilies(facts)])
