// pure
import { isFromFuture } from '../archive/clock.ts'
import type { Conflict } from '../archive/two-servers.ts'
import { AppError } from '../errors.ts'
import { shellWord, visible } from '../text.ts'
import { plural, renderAge, someLines, someOf } from '../units.ts'

/** The parts of a backup that the choice depends on; `started_at` is RFC 3339 in UTC. */
export type Candidate = {
  id: string
  series: { name: string; system_identifier: string; database: string; kind?: string }
  started_at: string
  /** The instant to order by, if it is not `started_at`: see `takenAt`. */
  taken_at?: string | undefined
  /** What shows that another server than that of the backups before made it, though their system identifier is the same. */
  conflict?: Conflict | undefined
}

/** Which backup to look for. */
export type Request = {
  /** Id of the backup; undefined: the newest that matches the rest. */
  id: string | undefined
  /** `backup.name`. */
  name: string
  database: string
  /** System identifier of the server to restore to; undefined if it cannot be read. */
  own: string | undefined
  /** System identifier given with `--cluster`. */
  cluster: string | undefined
  /** A backup of another server is only taken with `--cluster`. */
  ownOnly?: boolean
  /** Take the newest one started at or before this instant. */
  at: Date | undefined
  /** A backup that starts later than this is only taken by its id. Undefined: no limit. */
  now?: Date | undefined
}

/** The chosen backup, and warnings about the choice. */
export type Choice<C> = { backup: C; notes: string[] }

/**
 * Chooses the backup to restore. Name and database must match. Backups of the server itself come first. Without any, backups of another
 * server are used if they are all of the same one, and a note says so. An id decides alone, whatever its name and cluster. A backup
 * that seems to start in the future is only chosen by its id.
 *
 * @param backups of the database, in any order; each is complete and readable
 * @throws {AppError} `nobackup` if none matches, `restore` if backups of several other clusters match
 */
export function chooseBackup<C extends Candidate>(backups: C[], request: Request): Choice<C> {
  const choice = choose(backups, request)
  const { id, series } = choice.backup
  const { own, cluster, ownOnly = false } = request
  if (ownOnly && cluster === undefined && series.system_identifier !== own)
    throw new AppError(
      'restore',
      `backup ${id} was made on another server (system identifier ${series.system_identifier}, this one is ${own ?? 'unknown'}); nothing was changed`,
      { hint: `pass --cluster ${shellWord(series.system_identifier)} to replace the database by it, or --into NEW` },
    )
  return choice
}

function choose<C extends Candidate>(backups: C[], request: Request): Choice<C> {
  const { id, name, database, own, cluster, at } = request
  if (id !== undefined) return chooseById(backups, id, request)

  const all = backups.filter(({ series }) => series.database === database && series.kind !== 'before-restore')
  const named = all.filter(({ series }) => series.name === name)
  const inCluster = named.filter(({ series }) => cluster === undefined || series.system_identifier === cluster)
  const future = inCluster.filter((backup) => startsLater(backup, request))
  const past = inCluster.filter((backup) => !future.includes(backup))
  const inTime = past.filter((backup) => at === undefined || instantOf(backup) <= at.getTime())
  if (inTime.length === 0) throw nothing(request, { all, named, inCluster, future })

  const ours = inTime.filter(({ series }) => series.system_identifier === own)
  const others = [...new Set(inTime.map(({ series }) => series.system_identifier))].sort()
  if (ours.length === 0 && others.length > 1) throw severalClusters(request, inTime, others)
  const ofOne = ours.length > 0 ? ours : inTime
  const backup = newest(ofOne)
  if (backup.conflict || recent(ofOne).some(({ conflict }) => conflict === 'behind')) throw twoServers(request, ofOne)
  const notes = [
    ...futureNotes(future),
    ...clusterNotes(backup, own),
    ...(at === undefined ? [] : lateNotes(backup, at)),
  ]
  return { backup, notes }
}

function chooseById<C extends Candidate>(backups: C[], id: string, request: Request): Choice<C> {
  const backup = backups.find(
    (candidate) =>
      candidate.id === id && (request.cluster === undefined || candidate.series.system_identifier === request.cluster),
  )
  if (!backup)
    throw new AppError('nobackup', `there is no backup ${id} of database ${request.database}${ofCluster(request)}`, {
      hint: 'see `pgbosun backup list`',
    })
  return { backup, notes: clusterNotes(backup, request.own) }
}

const newest = <C extends Candidate>(backups: C[]): C =>
  backups.reduce((best, candidate) => (isNewer(candidate, best) ? candidate : best))

const recentMs = 7 * 86_400_000

/** Those that may be of another server that still makes backups: the newest three, and all of the week before the newest. */
function recent<C extends Candidate>(backups: C[]): C[] {
  const sorted = backups.toSorted((a, b) => (isNewer(a, b) ? -1 : 1))
  return sorted.filter((backup, i) => i < 3 || instantOf(sorted[0]!) - instantOf(backup) < recentMs)
}

const instantOf = ({ started_at, taken_at }: Candidate) => Date.parse(taken_at ?? started_at)

const startsLater = ({ started_at }: Candidate, { now }: Request) =>
  now !== undefined && isFromFuture({ startedAt: new Date(started_at) }, now)

/** By instant; of two in one second, by id, so that the answer is always the same. */
const isNewer = (a: Candidate, b: Candidate) =>
  instantOf(a) === instantOf(b) ? a.id > b.id : instantOf(a) > instantOf(b)

const clusterNotes = ({ id, series }: Candidate, own: string | undefined): string[] =>
  own === undefined || series.system_identifier === own
    ? []
    : [`backup ${id} was made on another server (system identifier ${series.system_identifier}, this one is ${own})`]

const futureNotes = (future: Candidate[]): string[] =>
  future.map(
    ({ id, started_at }) =>
      `backup ${id} is dated ${started_at}, which is in the future, so a clock was wrong: it is only restored if you give its id`,
  )

function lateNotes(backup: Candidate, at: Date): string[] {
  const lateMs = at.getTime() - instantOf(backup)
  return lateMs < 1_000
    ? []
    : [
        `backup ${backup.id} started ${renderAge(lateMs)} before ${at.toISOString()}: it does not contain what was written since`,
      ]
}

const ofCluster = ({ cluster }: Request) => (cluster === undefined ? '' : ` made on the server ${cluster}`)

function nothing(
  request: Request,
  { all, named, inCluster, future }: Record<'all' | 'named' | 'inCluster' | 'future', Candidate[]>,
): AppError {
  const { name, database, at } = request
  const what = `there is no backup of database ${database}`
  if (future.length > 0 && future.length === inCluster.length)
    return new AppError('nobackup', `${what}${ofCluster(request)} that is not dated in the future`, {
      hint: `compare the clocks of this machine and of the one that made it; \`pgbosun restore ${newest(future).id}\` restores it anyway`,
    })
  if (inCluster.length > 0 && at !== undefined) {
    const oldest = inCluster.map(({ started_at }) => started_at).sort()[0]
    return new AppError('nobackup', `${what}${ofCluster(request)} that was started at or before ${at.toISOString()}`, {
      hint: `the oldest one was started at ${oldest}`,
    })
  }
  if (named.length > 0)
    return new AppError('nobackup', `${what}${ofCluster(request)}`, {
      hint: `there are backups made on: ${someOf(identifiers(named))}`,
    })
  const names = [...new Set(all.map(({ series }) => series.name))].sort()
  return new AppError('nobackup', `${what} under the name ${name}`, {
    hint:
      names.length > 0
        ? `there are backups under the ${plural(names.length, 'name')} ${someOf(names)}: set backup.name, or give the id of a backup`
        : 'see `pgbosun backup list`, and check backup.store',
  })
}

const identifiers = (backups: Candidate[]) => [...new Set(backups.map(({ series }) => series.system_identifier))].sort()

function twoServers({ database }: Request, backups: Candidate[]): AppError {
  const sorted = backups.toSorted((a, b) => (isNewer(a, b) ? -1 : 1))
  const lines = sorted.map(({ id, started_at, conflict }) =>
    visible(`  ${id}   started ${started_at}${conflict ? ', by another server than the one before' : ''}`),
  )
  return new AppError(
    'restore',
    `two servers with the same system identifier seem to have made the backups of database ${database}, so nobody can say which is the latest of this one; nothing was changed`,
    {
      hint: 'give the id of the one to restore, and give each environment a `backup.name`, or a store, of its own',
      excerpt: someLines(lines, 10).join('\n'),
    },
  )
}

function severalClusters({ database, own }: Request, backups: Candidate[], clusters: string[]): AppError {
  const lines = clusters.map((cluster) => {
    const { id, started_at } = newest(backups.filter(({ series }) => series.system_identifier === cluster))
    return visible(`  --cluster ${shellWord(cluster)}   newest: ${id}, started ${started_at}`)
  })
  return new AppError(
    'restore',
    `the backups of database ${database} come from ${clusters.length} servers, but none from this one${own === undefined ? '' : ` (${own})`}; nothing was changed`,
    { hint: 'choose the server with --cluster ID', excerpt: someLines(lines, 10).join('\n') },
  )
}
