import { setTimeout as sleep } from 'node:timers/promises'
import { AppError } from '../errors.ts'
import type { Log } from '../log.ts'
import type { BeforeChange, Change } from '../plan.ts'
import { type BlockerWatch, describeBlockers } from '../postgres/blockers.ts'
import type { Sql } from '../postgres/db.ts'
import { isServerError } from '../postgres/server-error.ts'
import { failedChange } from './errors.ts'
import type { ReassignPlan } from './plan-ownership.ts'
import { databaseSql } from './statements.ts'

type Options = {
  beforeChange: BeforeChange
  guard: () => void
  /** `lockTimeoutMs`: how long one attempt waits for the lock of an object; `timeoutMs`: how long attempts go on for one object. */
  lockTimeoutMs: number
  timeoutMs: number
  watch: BlockerWatch
  log: Log
  signal: AbortSignal
}

const pauseMs = 500

/** Undefined table, routine, schema, object: an object that no longer exists needs no owner. */
const gone = ['42P01', '42883', '3F000', '42704']

/**
 * Gives objects their new owner, each in a transaction of its own: no lock is held longer than needed, and what a killed run did not
 * get to is in the next plan.
 *
 * @throws {AppError} `locked` naming the object, `refused` or `roles` when the server refuses it
 */
export async function applyReassign(sql: Sql, { actions }: ReassignPlan, options: Options): Promise<void> {
  if (actions.length === 0) return
  await options.beforeChange()
  await sql.unsafe(`set lock_timeout = ${Math.round(options.lockTimeoutMs)}`)
  options.watch.start()
  try {
    const around = (verb: 'join' | 'leave') =>
      actions.flatMap(({ payload }) => (payload.do === verb ? databaseSql(payload) : []))
    const [joins, leaves] = [around('join'), around('leave')]
    for (const { change, payload } of actions) {
      if (payload.do !== 'reassign') continue
      for (const statement of databaseSql(payload)) {
        options.guard()
        options.signal.throwIfAborted()
        // In one string, which is one transaction: nobody sees the memberships that we have for the moment.
        await patiently(
          sql,
          { text: [...joins, statement, ...leaves].join('; '), what: whatOf(statement) },
          change,
          options,
        )
      }
      options.log.debug(change, 'changed')
    }
  } finally {
    await options.watch.stop()
  }
  await sql.unsafe('reset lock_timeout')
}

type Statement = { text: string; what: string }

async function patiently(sql: Sql, { text, what }: Statement, change: Change, options: Options): Promise<void> {
  const deadline = performance.now() + options.timeoutMs
  for (;;) {
    try {
      return void (await sql.unsafe(text))
    } catch (error) {
      const code = isServerError(error) ? error.code : ''
      if (gone.includes(code)) return
      if (code === '22012') throw changedMeanwhile(what)
      if (code !== '55P03' && code !== '40P01') throw failedChange(change, error)
      const blockers = describeBlockers(options.watch.last())
      if (performance.now() > deadline) throw lockedFor(what, blockers, options.timeoutMs)
      options.log.warn({ object: what }, `the owner of ${what} cannot be changed yet${blockers ? `, ${blockers}` : ''}`)
      await sleep(pauseMs, undefined, { signal: options.signal })
    }
  }
}

const whatOf = (statement: string) => statement.replace(/ owner to .*$/s, '').replace(/^alter /, '')

const changedMeanwhile = (what: string) =>
  new AppError('refused', `${what} has changed since the plan was made: its owner was not changed`, {
    hint: 'look at it, then run this again; objects that already got their new owner keep it',
  })

const lockedFor = (what: string, blockers: string | undefined, timeoutMs: number) =>
  new AppError(
    'locked',
    `the owner of ${what} could not be changed within ${Math.round(timeoutMs / 1000)} s${blockers ? `: ${blockers}` : ''}`,
    {
      hint: 'run this again when the table is less busy; objects that already got their new owner keep it',
    },
  )
