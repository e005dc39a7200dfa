import { availableParallelism } from 'node:os'
import type { Backup } from '../archive/backup.ts'
import type { Manifest } from '../archive/manifest.ts'
import { at, type Connection, describe } from '../config/connection.ts'
import { scratchPlace } from '../machine/scratch.ts'
import { ofOneKind } from '../plan.ts'
import { mayGoWithoutEventTriggers } from '../postgres/event-triggers.ts'
import type { Attempt } from '../postgres/retry.ts'
import type { Session } from '../postgres/session.ts'
import { findTools } from '../programs/pgtools.ts'
import { renderAgo } from '../units.ts'
import { boundWarnings } from './bound.ts'
import { wholeOf } from './chosen.ts'
import { describeInPlace } from './in-place/describe.ts'
import { planJobs } from './jobs.ts'
import { leftOutWarning, refusePartial, warningsOf } from './left-out.ts'
import { asSuperuserFlag, checkListPlace } from './load.ts'
import { loadingFor, loadingInPlace } from './loading.ts'
import type { RestoreOptions } from './options.ts'
import { guard, refuseNoInheritance, replaceableBy } from './refuse.ts'
import { isPartial, manifestOf } from './select.ts'
import { refuseIncomplete, refuseUnopened, trustedManifest } from './source.ts'
import { withPropertiesOf } from './swap/properties.ts'
import { describeReplaced } from './swap/refusals.ts'
import { describeSwap, differencesFrom } from './swap/swap.ts'
import { openFor, type Work } from './work.ts'

/** The backup that was chosen, and all of its database. */
type Chosen = { backup: Backup; backups: Backup[] }

/**
 * Everything before the first change: refuses what is known to fail, says what will be done, and asks.
 * @throws {AppError} `restore`, `refused`, `corrupt`, `backup`
 */
export async function prepare(
  session: Session,
  attempt: Attempt,
  chosen: Chosen,
  options: RestoreOptions,
): Promise<Work> {
  const { backup } = chosen
  const { wanted, store, keys, search, out } = options
  const connection = at(options.connection, session)
  const trusted = trustedManifest(await wholeOf(options, backup))
  if (wanted.swap) refusePartial(trusted, { into: wanted.into, now: options.now() }, chosen.backups)
  const partial = leftOutWarning(trusted)
  if (partial !== undefined) out.warn(partial)
  for (const warning of ofOneKind(warningsOf(trusted))) out.warn(warning)
  for (const warning of boundWarnings(manifestOf(trusted, wanted.part).extensions)) out.warn(warning)
  const withoutEventTriggers = await mayGoWithoutEventTriggers(session)
  const open = (database: string) => openFor(connection, database, options, withoutEventTriggers)
  const replaceable = await replaceableBy(session, trusted, options)
  const complete = replaceable ? withPropertiesOf(trusted, replaceable.properties) : trusted
  const needed = manifestOf(complete, wanted.part)
  const createRoles = await guard(session, needed, wanted)
  const tools = await findTools(session.serverVersion, search, {
    name: 'pg_restore',
    writtenBy: Number.parseInt(trusted.client_version, 10),
  })
  await refuseIncomplete(store, needed)
  await refuseUnopened(options, needed)
  const source = { store, keys, manifest: needed, wanted }
  const inPlace = wanted.inPlace ? await loadingInPlace(session, source) : undefined
  const loading = inPlace ?? (await loadingFor(session, source))
  if (loading.load && !replaceable && !wanted.noOwner) await refuseNoInheritance(session.sql, needed, loading)
  const manifest = manifestOf(needed, wanted.part, loading.selection?.tables)
  for (const note of ofOneKind(loading.selection?.notes ?? [])) out.warn(note)
  if (loading.load ?? loading.selection) checkListPlace()
  if (wanted.asSuperuser)
    out.print(`trust    code in this backup runs with the rights of ${loading.rights.user} (${asSuperuserFlag})`)
  const proven = isProvenFirst(options)
  const { jobs, note } = planJobs({
    ...{
      asked: inPlace ? 1 : wanted.jobs,
      cores: availableParallelism(),
      alone: wanted.keepGoing || isPartial(wanted.part),
      proven,
    },
    ...{ dumpBytes: manifest.dump_size_bytes, place: await scratchPlace() },
  })
  if (note !== undefined) out.print(`jobs     ${note}`)
  if (createRoles.length > 0)
    out.print(`roles    are missing here, and will be created without login: ${createRoles.join(', ')}`)
  await announce({ connection, chosen, manifest, trusted, replaceable, inPlace, open }, options)
  await options.confirm()
  const noteChange = () => {
    attempt.changed = true
  }
  return { connection, session, manifest, tools, loading, jobs, proven, noteChange }
}

/** Where backups are signed, code in one runs with our rights only after all of it was compared with what was signed. */
const isProvenFirst = ({ wanted, keys }: RestoreOptions) => wanted.asSuperuser && keys.secrets.length > 0

type Announced = {
  connection: Connection
  chosen: Chosen
  manifest: Manifest
  /** The manifest as it was written. */
  trusted: Manifest
  replaceable: Awaited<ReturnType<typeof replaceableBy>>
  inPlace: Awaited<ReturnType<typeof loadingInPlace>> | undefined
  open(database: string): Promise<Session>
}

/** Says what will be done, and what of a database that is replaced will be gone or different. */
async function announce(
  { connection, chosen, manifest, trusted, replaceable, inPlace, open }: Announced,
  options: RestoreOptions,
): Promise<void> {
  const { backup, backups } = chosen
  const { wanted, out } = options
  const age = renderAgo(options.now().getTime() - backup.takenAt.getTime())
  const where = describe({ ...connection, database: wanted.into })
  const how = inPlace
    ? 'in place, into the database'
    : replaceable
      ? 'in place of the database'
      : 'into the new database'
  out.print(`restore  backup ${backup.id} of ${manifest.database.name}, taken ${age}, ${how} ${where}`)
  if (!replaceable) return
  const swap = { connect: open, name: wanted.into, manifest }
  const lines = inPlace
    ? await describeInPlace(replaceable, { ...swap, toc: inPlace.load.head.toc, isolated: inPlace.isolated, wanted })
    : await describeSwap(replaceable, swap)
  const what = describeReplaced(replaceable.facts, {
    sizeBytes: replaceable.properties.size_bytes,
    newest: newestOf(backups, options.now()),
  })
  options.log.info({ database: wanted.into }, `about to be replaced: ${what}`)
  for (const line of [what, ...lines]) out.print(`${inPlace ? 'in place' : 'swap    '} ${line}`)
  for (const warning of differencesFrom(trusted, replaceable)) out.warn(warning)
}

/** The newest backup that is none of the state before a restore, and its age. */
function newestOf(backups: Backup[], now: Date): string | undefined {
  const [newest] = backups
    .filter(({ series }) => series !== undefined && series.kind !== 'before-restore')
    .sort((a, b) => b.takenAt.getTime() - a.takenAt.getTime())
  return newest && `${newest.id}, taken ${renderAgo(now.getTime() - newest.takenAt.getTime())}`
}
