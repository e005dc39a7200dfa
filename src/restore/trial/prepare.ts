import { readBackup } from '../../archive/backup.ts'
import type { Manifest } from '../../archive/manifest.ts'
import { TocError } from '../../archive/toc.ts'
import { at, type Connection } from '../../config/connection.ts'
import { AppError } from '../../errors.ts'
import type { Session } from '../../postgres/session.ts'
import { readSystemIdentifier } from '../../postgres/system.ts'
import { findTools, type Tools } from '../../programs/pgtools.ts'
import { someOf } from '../../units.ts'
import { boundOf, withoutExtensions } from '../bound.ts'
import { findRefusals, neededRoles, refusal } from '../guard.ts'
import { readTarget } from '../inspect.ts'
import { type OwnRights, readOwnRights } from '../isolation.ts'
import { describeLeftOut } from '../left-out.ts'
import { checkListPlace } from '../load.ts'
import { type LoadPlan, planLoad } from '../plan.ts'
import { damaged, type Head, openDump, readHead, refuseIncomplete, type Source, trustedManifest } from '../source.ts'
import { NotAsBackedUp } from './judge.ts'
import type { TrialOptions } from './options.ts'
import { isSameServer, refuseTrial } from './place.ts'
import { readRoom } from './room.ts'

/**
 * The name that a test restore would give its database if it kept it. Its lock lets one test restore work on a server at a time, and
 * lets every restore recognise what a killed one left behind.
 */
export const into = 'pgbosun_test_restore'

/** What is known before anything is changed. */
export type Work = {
  session: Session
  server: string
  connection: Connection
  manifest: Manifest
  rights: OwnRights
  tools: Tools
  head: Head
  plan: LoadPlan
  /** In words. */
  leftOut: string[]
  own: string | undefined
  same: boolean
}

/** Needs roles of the original, or could act by itself. */
const never = ['owners', 'privileges', 'comments', 'publications', 'subscriptions', 'user mappings', 'event triggers']

/** Finds out everything that is known to fail, before anything is changed. */
export async function prepare(session: Session, server: string, options: TrialOptions): Promise<Work> {
  const { backup, store, keys, where, maxBytes, search } = options
  const whole = await readBackup(store, backup.database, backup.id, keys.secrets)
  if (!whole) throw damaged(backup.id, 'it has been deleted in the meantime')
  const manifest = trustedManifest(whole)
  const own = await readSystemIdentifier(session.sql)
  const rights = await readOwnRights(session.sql)
  const same = isSameServer(manifest, own)
  const room = same ? await readRoom(session.sql, own, manifest.database.size_bytes) : undefined
  const refused = refuseTrial(manifest, { where, own, rights, maxBytes, room })
  if (refused) throw refused
  const left = boundOf(manifest.extensions).filter(({ test }) => test === 'left out')
  const without = left.map(({ name }) => name)
  for (const { name, advice } of left) options.warn(`the extension ${name} is left out of the test restore: ${advice}`)
  const wanted = { ...manifest, extensions: manifest.extensions.filter(({ name }) => !without.includes(name)) }
  const target = await readTarget(session.sql, wanted, into)
  const problem = refusal(findRefusals(wanted, { into, noOwner: true, noTablespaces: true }, target), {
    id: manifest.id,
    into,
  })
  if (problem) throw problem
  const tools = await findTools(session.serverVersion, search, {
    name: 'pg_restore',
    writtenBy: Number.parseInt(manifest.client_version, 10),
  })
  await refuseIncomplete(store, manifest)
  checkListPlace()
  const head = await readContents(options, manifest)
  const entries = withoutExtensions(head.toc.entries, left)
  const planned = { ...planLoad({ ...head.toc, entries }, { noOwner: true }), tablespaces: [] }
  const knowsRoles = neededRoles(manifest).every((role) => target.roles.includes(role))
  const plan = knowsRoles ? planned : { ...planned, policies: [] }
  const partial = describeLeftOut(manifest)
  const leftOut = [
    ...without.map((name) => `the extension ${name}`),
    ...(knowsRoles ? [] : ['policies']),
    ...never,
    ...(partial === undefined ? [] : [`by backup.exclude: ${partial}`]),
  ]
  if (plan.problems.length > 0 && rights.more.length > 0) throw cannotRun(plan.problems, rights)
  const connection = at(options.connection, session)
  return { session, server, connection, manifest, rights, tools, head, plan, leftOut, own, same }
}

async function readContents(source: Source, manifest: Manifest): Promise<Head> {
  try {
    return await readHead(openDump(source, manifest))
  } catch (error) {
    if (error instanceof TocError) throw new NotAsBackedUp(error.message)
    throw error
  }
}

const cannotRun = (problems: string[], { user }: OwnRights) =>
  new AppError(
    'restore',
    `the backup cannot be restored without running code in it with the rights of ${user}: ${someOf(problems, '; ')}`,
    { hint: 'set backup.verify.url to a role that may only create databases, on a server that has these objects' },
  )
