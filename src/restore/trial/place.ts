// pure
import type { Manifest } from '../../archive/manifest.ts'
import { AppError } from '../../errors.ts'
import { quoteIdent } from '../../sql/quote.ts'
import { visibleSql } from '../../text.ts'
import { renderBytes, someOf } from '../../units.ts'
import { boundOf } from '../bound.ts'
import type { OwnRights } from '../isolation.ts'

/** Free space of a volume of the server. `needed`: what a test restore may take of it. */
export type Volume = { path: string; freeBytes: number; totalBytes: number; neededBytes: number }

/** The volumes that a database and its write-ahead log are written to; or why they cannot be looked at. */
export type Room = { volumes: Volume[] } | { unknown: string; hint: string }

/** What decides whether a backup may be restored on a server for a test. */
export type TrialPlace = {
  where: 'url' | 'same-server'
  /** Undefined where a server does not tell its system identifier. */
  own: string | undefined
  rights: OwnRights
  maxBytes: number
  /** Only of the server that was backed up. */
  room: Room | undefined
}

/** The part of a manifest that decides. */
export type Tried = Pick<Manifest, 'id' | 'extensions'> & {
  series: Pick<Manifest['series'], 'system_identifier'>
  database: Pick<Manifest['database'], 'name' | 'size_bytes'>
}

/** Whether a server is the one that was backed up. Where that is unknown, it is taken for it. */
export const isSameServer = ({ series }: Tried, own: string | undefined) =>
  own === undefined || series.system_identifier === '0' || own === series.system_identifier

/** What a restored database of that size takes, and the log that is written for it. */
export const neededRoom = (databaseBytes: number) => ({ data: Math.ceil(databaseBytes * 1.2), wal: databaseBytes })

/** So much of a volume stays free: a server whose log finds no space stops. */
export const keptFree = 0.1

/**
 * Why a backup may not be restored here for a test; undefined where it may. On the server that was backed up nothing may be at risk:
 * neither rights, because code and store of a backup are not ours, nor space.
 */
export function refuseTrial(manifest: Tried, place: TrialPlace): AppError | undefined {
  const { size_bytes: size, name } = manifest.database
  if (size > place.maxBytes)
    return refused(
      `the database ${name} has ${renderBytes(size)}, more than backup.verify.maxBytes (${renderBytes(place.maxBytes)})`,
      'raise backup.verify.maxBytes, if the server for test restores has the space and the time',
    )
  const stuck = boundOf(manifest.extensions).filter(({ test }) => test === 'refused')
  if (stuck[0])
    return refused(
      `the extension ${stuck[0].name} of ${name} would act in the restored database: ${stuck[0].advice}`,
      'restore it by hand, on a server that nothing depends on',
    )
  return isSameServer(manifest, place.own) ? refuseSameServer(place) : refuseRights(place.rights)
}

/** Elsewhere, a login without rights loads the backup; who has nothing to lose needs none. */
function refuseRights({ user, more, mayCreateRole }: OwnRights): AppError | undefined {
  if (more.length === 0 || mayCreateRole) return undefined
  return new AppError(
    'refused',
    `code in the backup would run with the rights of ${user}, which ${more.join(' and ')} and may not create a login for the test restore`,
    {
      hint: `${visibleSql(`alter role ${quoteIdent(user)} createrole`)}, or set backup.verify.url to a role that may only create databases`,
    },
  )
}

function refuseSameServer({ where, own, rights, room }: TrialPlace): AppError | undefined {
  if (where === 'url')
    return refused(
      own === undefined
        ? 'the server of backup.verify.url does not tell its system identifier, so it may be the one that was backed up'
        : 'the server of backup.verify.url is the one that was backed up',
      'name another server, or set backup.verify.where: same-server',
    )
  if (rights.more.length > 0)
    return new AppError(
      'refused',
      `the backup is not restored on its own server as ${rights.user}, which ${rights.more.join(' and ')}: nothing in a backup may get near those rights`,
      {
        hint: `create a role that may only create databases, and set backup.verify.url to it: ${visibleSql(`create role ${quoteIdent('pgbosun_verify')} login createdb password '…'; grant pg_read_all_settings to ${quoteIdent('pgbosun_verify')}`)}`,
      },
    )
  if (!room) throw new Error('nobody has looked for free space')
  return tooFull(room)
}

/** Why a test restore that is running has to stop; undefined if it may go on. @param room with nothing needed any more */
export const nearlyFull = (room: Room, what = 'test restore'): AppError | undefined => {
  const problem = tooFull(room)
  return problem?.with({ message: `the ${what} was stopped: ${problem.message}` })
}

function tooFull(room: Room): AppError | undefined {
  if ('unknown' in room) return refused(`the free space of the server is not known: ${room.unknown}`, room.hint)
  const full = room.volumes.filter(isTooFull)
  if (full.length === 0) return undefined
  return refused(
    `the server has too little free space: ${someOf(full.map(renderVolume), '; ')}`,
    'free space there, or set backup.verify.url to another server',
  )
}

const isTooFull = ({ freeBytes, neededBytes, totalBytes }: Volume) => freeBytes - neededBytes < totalBytes * keptFree

const renderVolume = ({ path, freeBytes, neededBytes, totalBytes }: Volume) =>
  `${path} has ${renderBytes(freeBytes)}${neededBytes > 0 ? `, the restore may take ${renderBytes(neededBytes)}` : ''}, and a tenth (${renderBytes(totalBytes * keptFree)}) has to stay free`

const refused = (message: string, hint: string) => new AppError('restore', message, { hint })
