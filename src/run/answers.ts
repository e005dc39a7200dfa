import type { Db, Sql } from '../postgres/db.ts'

/**
 * A session that asks each question only once, while `isKnown()`. Steps that need the same answer then cost one round trip, and what all
 * of them will need can be asked at once. An error is not remembered.
 *
 * Only for questions about what the run itself protects by its locks: not for locks, sessions, times or anything that has an effect.
 */
export function remembering(sql: Sql, isKnown: () => boolean): Db {
  const answers = new Map<string, Promise<unknown>>()
  const ask = (text: string) => {
    if (!isKnown()) return sql.unsafe(text)
    const known = answers.get(text)
    if (known) return known
    const answer = Promise.resolve(sql.unsafe(text)).catch((error: unknown) => {
      answers.delete(text)
      throw error
    })
    answer.catch(() => {})
    answers.set(text, answer)
    return answer
  }
  return new Proxy(sql, { get: (target, key) => (key === 'unsafe' ? ask : Reflect.get(target, key)) }) as Db
}
