// pure
import { type Verdict, verdictOf } from '../check/verdict.ts'
import type { ServeState } from './state.ts'

/** The verdict of `serve` now, and what it has not looked at yet: as long as that is not empty, nothing is SAFE. */
export function verdictIn(state: Pick<ServeState, 'conditions' | 'looked' | 'backups' | 'up' | 'upWanted'>): {
  verdict: Verdict
  unlooked: string[]
} {
  const unlooked = [
    ...(state.upWanted && state.up === null ? ['what is declared: `up` is not done yet'] : []),
    ...(state.looked.has('database-unreachable') ? [] : ['the database']),
    ...state.backups
      .filter(({ looked, storeProblem, ended }) => !looked && storeProblem === null && !ended)
      .map(({ database }) => `the store of the backups of ${database}`),
  ]
  return { verdict: verdictOf(state.conditions, unlooked), unlooked }
}
