// pure
import { type Condition, type ConditionName, conditionCatalogue } from './condition-catalogue.ts'

/** From the best to the worst that is known; what could not be looked at is never fine. */
export const verdicts = ['SAFE', 'AT RISK', 'NOT SAFE', 'UNKNOWN'] as const
export type Verdict = (typeof verdicts)[number]

/**
 * The verdict by the open conditions. An error about recoverability or data is NOT SAFE, whatever else is not known; what could not be
 * looked at is UNKNOWN; anything else that is open is AT RISK.
 *
 * @param unlooked what was not looked at yet, in words; must be empty for SAFE and AT RISK
 */
export function verdictOf(
  conditions: readonly Pick<Condition, 'name' | 'severity'>[],
  unlooked: readonly string[] = [],
): Verdict {
  const ranks = conditions.map(rankOf)
  if (ranks.includes('NOT SAFE')) return 'NOT SAFE'
  if (ranks.includes('UNKNOWN') || unlooked.length > 0) return 'UNKNOWN'
  return ranks.length > 0 ? 'AT RISK' : 'SAFE'
}

/** What a condition alone makes the verdict. */
export function rankOf({ name, severity }: Pick<Condition, 'name' | 'severity'>): Exclude<Verdict, 'SAFE'> {
  const about = aboutOf(name)
  if (about === 'unknown') return 'UNKNOWN'
  return severity === 'error' && (about === 'recoverability' || about === 'data') ? 'NOT SAFE' : 'AT RISK'
}

/** What a condition is about. */
export const aboutOf = (name: ConditionName) => conditionCatalogue[name].about

const badness: Record<Exclude<Verdict, 'SAFE'>, number> = { 'NOT SAFE': 0, UNKNOWN: 1, 'AT RISK': 2 }

/** The worst first: the first of them has made the verdict. Errors come before warnings, and older ones before newer ones. */
export const worstFirst = <C extends Pick<Condition, 'name' | 'severity' | 'since'>>(conditions: readonly C[]): C[] =>
  conditions.toSorted(
    (a, b) =>
      badness[rankOf(a)] - badness[rankOf(b)] ||
      Number(b.severity === 'error') - Number(a.severity === 'error') ||
      (a.since < b.since ? -1 : a.since > b.since ? 1 : 0),
  )
