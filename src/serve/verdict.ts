// pure
import { type Verdict, verdictOf } from '../check/verdict.ts'
import type { ServeState } from './state.ts'

/** The verdict of `serve` now, and what it has not looked at yet: as long as that is not empty, nothing is SAFE. */
export function verdictIn(
  state: Pick<ServeState, 'conditions' | 'looked' | 'backups' | 'up' | 'upWanted' | 'declared' | 'unseen'>,
): {
  verdict: Verdict
  unlooked: string[]
} {
  const unlooked = [
    ...notDeclared(state),
    ...(state.unseen !== undefined ? [`the database: ${state.unseen}`] : []),
    ...(state.looked.has('database-unreachable') || state.unseen !== undefined ? [] : ['the database']),
    ...state.backups
      .filter(({ looked, storeProblem, ended }) => !looked && storeProblem === null && !ended)
      .map(({ database }) => `the store of the backups of ${database}`),
  ]
  return { verdict: verdictOf(state.conditions, unlooked), unlooked }
}

/** With `--no-up`, nothing is declared for this process: it only makes backups. */
function notDeclared({ up, upWanted, declared }: Pick<ServeState, 'up' | 'upWanted' | 'declared'>): readonly string[] {
  if (!upWanted) return []
  if (up === null) return ['what is declared: `up` is not done yet']
  if (declared === undefined) return ['what is declared']
  return declared.problem === undefined ? declared.unlooked : [`what is declared: ${declared.problem}`]
}
