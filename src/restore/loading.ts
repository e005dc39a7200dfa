import type { Manifest } from '../archive/manifest.ts'
import { TocError } from '../archive/toc.ts'
import { AppError } from '../errors.ts'
import { hasEventTriggersParameter, mayGoWithoutEventTriggers } from '../postgres/event-triggers.ts'
import type { Session } from '../postgres/session.ts'
import type { Store } from '../store/store.ts'
import { needsLogin, type OwnRights, readOwnRights, refuseLoginTriggers, refuseProblems } from './isolation.ts'
import { type LoadPlan, loginTriggersIn, planLoad } from './plan.ts'
import { drain, type Head, openDump, readHead } from './source.ts'

/** How a backup is loaded: by a login, as planned from the dump's list of contents; or by the session user. */
export type Loading = {
  rights: OwnRights
  /** Whether our sessions in the restored database start without its event triggers. */
  withoutEventTriggers: boolean
  load: { plan: LoadPlan; head: Head } | undefined
}

/** @throws {AppError} `refused`, `restore` or `corrupt` if it cannot be loaded without giving rights to code in it */
export async function loadingFor(
  session: Session,
  {
    store,
    manifest,
    wanted,
  }: { store: Store; manifest: Manifest; wanted: { noOwner: boolean; noTablespaces: boolean; asSuperuser: boolean } },
): Promise<Loading> {
  const rights = await readOwnRights(session.sql)
  const withoutEventTriggers = await mayGoWithoutEventTriggers(session)
  const isolated = needsLogin(rights, wanted.asSuperuser)
  const mayBeLockedOut = hasEventTriggersParameter(session.serverVersion) && !withoutEventTriggers
  if (!isolated && !mayBeLockedOut) return { rights, withoutEventTriggers, load: undefined }
  const { head, problem } = await listOf(store, manifest)
  if (head && mayBeLockedOut) refuseLoginTriggers(loginTriggersIn(head.toc), rights.user)
  if (!isolated) return { rights, withoutEventTriggers, load: undefined }
  const plan = head && planLoad(head.toc, wanted)
  const refused = refuseProblems(problem === undefined ? (plan?.problems ?? []) : [problem], rights.user)
  if (head && plan && !refused) return { rights, withoutEventTriggers, load: { plan, head } }
  await whole(manifest, () => drain(openDump(store, manifest)))
  throw refused
}

async function listOf(store: Store, manifest: Manifest): Promise<{ head?: Head; problem?: string }> {
  try {
    return { head: await whole(manifest, () => readHead(openDump(store, manifest))) }
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
