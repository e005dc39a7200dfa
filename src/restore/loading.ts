import type { Manifest } from '../archive/manifest.ts'
import { TocError } from '../archive/toc.ts'
import { AppError } from '../errors.ts'
import { hasEventTriggersParameter, mayGoWithoutEventTriggers } from '../postgres/event-triggers.ts'
import type { Session } from '../postgres/session.ts'
import { needsLogin, type OwnRights, readOwnRights, refuseLoginTriggers, refuseProblems } from './isolation.ts'
import { type LoadPlan, loginTriggersIn, planLoad } from './plan.ts'
import { isPartial, type Wanted as Part, type Selection, selectEntries } from './select.ts'
import { type DumpSource, drain, type Head, openDump, readHead, type Source } from './source.ts'

/** How a backup is loaded: by a login, as planned from the dump's list of contents; or by the session user. */
export type Loading = {
  rights: OwnRights
  /** Whether our sessions in the restored database start without its event triggers. */
  withoutEventTriggers: boolean
  load: { plan: LoadPlan; head: Head } | undefined
  /** What is loaded, if that is not everything. */
  selection: Selection | undefined
}

type HowToLoad = { noOwner: boolean; noTablespaces: boolean; asSuperuser: boolean; part: Part }

/** @throws {AppError} `refused`, `restore` or `corrupt` if it cannot be loaded without giving rights to code in it */
export async function loadingFor(
  session: Session,
  { manifest, wanted, ...source }: DumpSource & { manifest: Manifest; wanted: HowToLoad },
): Promise<Loading> {
  const rights = await readOwnRights(session.sql)
  const withoutEventTriggers = await mayGoWithoutEventTriggers(session)
  const isolated = needsLogin(rights, wanted.asSuperuser)
  const partial = isPartial(wanted.part)
  const mayBeLockedOut = hasEventTriggersParameter(session.serverVersion) && !withoutEventTriggers
  const common = { rights, withoutEventTriggers }
  if (!isolated && !partial && !mayBeLockedOut) return { ...common, load: undefined, selection: undefined }
  const { head, problem } = await listOf(source, manifest)
  const selection = head && partial ? selectEntries(head.toc, wanted.part) : undefined
  const loaded = selection ?? head?.toc
  if (loaded && mayBeLockedOut) refuseLoginTriggers(loginTriggersIn(loaded), rights.user)
  if (!isolated && partial && problem !== undefined) throw noList(manifest, problem)
  if (!isolated) return { ...common, load: undefined, selection }
  const plan = loaded && planLoad(loaded, wanted)
  const refused = refuseProblems(problem === undefined ? (plan?.problems ?? []) : [problem], rights.user)
  if (head && plan && !refused) return { ...common, load: { plan, head }, selection }
  if (!source.live) await whole(manifest, () => drain(openDump(source, manifest)))
  throw refused
}

/**
 * How a backup is loaded in one transaction: always as planned from its list of contents.
 * @returns `isolated`: by a login created for it
 * @throws {AppError} `refused`, `restore`, `corrupt`
 */
export async function loadingInPlace(
  session: Session,
  { store, keys, manifest, wanted }: Source & { manifest: Manifest; wanted: HowToLoad },
): Promise<Loading & { load: { plan: LoadPlan; head: Head }; isolated: boolean }> {
  const rights = await readOwnRights(session.sql)
  const withoutEventTriggers = await mayGoWithoutEventTriggers(session)
  const isolated = needsLogin(rights, wanted.asSuperuser)
  const { head, problem } = await listOf({ store, keys }, manifest)
  if (!head) throw noList(manifest, problem, 'it cannot be restored in place', 'restore it without --in-place')
  const plan = planLoad(head.toc, wanted)
  const refused = isolated ? refuseProblems(plan.problems, rights.user) : undefined
  if (refused) throw refused
  return { rights, withoutEventTriggers, load: { plan, head }, selection: undefined, isolated }
}

const noList = ({ id }: Manifest, problem = '', what = 'no part of it can be chosen', hint = 'restore all of it') =>
  new AppError('restore', `backup ${id}: ${what}, because ${problem}; nothing was changed`, { hint })

async function listOf(source: DumpSource, manifest: Manifest): Promise<{ head?: Head; problem?: string }> {
  try {
    return { head: await whole(manifest, () => readHead(openDump(source, manifest))) }
  } catch (error) {
    if (error instanceof TocError) return { problem: error.message }
    throw error
  }
}

/** Adds the id of the backup to an error about damage. */
async function whole<T>({ id }: Manifest, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (!(error instanceof AppError) || error.kind !== 'corrupt') throw error
    const { hint, cause } = error
    throw new AppError('corrupt', `backup ${id}: ${error.message}; nothing was changed`, { hint, cause })
  }
}
