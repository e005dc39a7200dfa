import type { RunsAs } from '../../postgres/search-path.ts'
import { readSystemIdentifier } from '../../postgres/system.ts'
import type { Context } from '../../run/context.ts'
import { withRun } from '../../run/run.ts'
import { type MigrateStep, planMigrateStep, refusePlan } from '../migrate.ts'
import { placeOf } from '../place.ts'
import type { MigrateTarget } from '../target.ts'
import { type Declared, readDeclared } from './declared.ts'

/** The database that a rehearsal is about. */
export type Live = {
  database: string
  /** Of its server; undefined where the user may not read it. */
  systemIdentifier: string | undefined
  step: MigrateStep
  /** The search_path that its files get, with the name of the user for `$user`. */
  path: string[]
  /** What `up` would create before them. */
  declared: Declared[]
}

/**
 * Reads what is pending in the live database, without a lock, and writes nothing.
 * @throws {AppError} `history`, `migration`, `lint` if the next `up` would refuse the files
 */
export const readLive = (context: Context, target: MigrateTarget): Promise<Live> =>
  withRun(context, { locks: 'none' }, async (run) => {
    const { sql } = run.target!
    const { database, user } = run.context.connection()
    const step = await planMigrateStep(run.context, target, sql, { looking: true })
    refusePlan(step.plan)
    const systemIdentifier = await readSystemIdentifier(sql)
    if (step.plan.steps.length === 0) return { database, systemIdentifier, step, path: [], declared: [] }
    const path = pathFor(await placeOf(run.context, sql, target), user)
    return { database, systemIdentifier, step, path, declared: await readDeclared(run.context, run.target!, database) }
  })

const pathFor = ({ path, role }: RunsAs, user: string) => path.map((name) => (name === '$user' ? (role ?? user) : name))
