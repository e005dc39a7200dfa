import type { Manifest } from '../../archive/manifest.ts'
import type { Toc } from '../../archive/toc.ts'
import { AppError } from '../../errors.ts'
import type { Db } from '../../postgres/db.ts'
import type { Session } from '../../postgres/session.ts'
import { quoteIdent } from '../../sql/quote.ts'
import { visibleSql } from '../../text.ts'
import { refusal } from '../guard.ts'
import type { WantedRestore } from '../options.ts'
import { type Replaceable, readReplaceable } from '../swap/read.ts'
import { readInPlaceFacts } from './read.ts'
import { findInPlaceRefusals, inPlaceConsequences } from './refusals.ts'

/** The database whose contents are to be replaced. @throws {AppError} `restore` if there is none */
export async function readInPlaceNow(
  db: Db,
  { name, lockDatabase }: { name: string; lockDatabase: string },
): Promise<Replaceable & { properties: Manifest['database'] }> {
  const found = await readReplaceable(db, name, lockDatabase)
  if (!found.properties)
    throw new AppError('restore', `there is no database ${name} to restore in place; nothing was changed`, {
      hint: `restore it as a new one: --into ${name}`,
    })
  if (!found.facts.allowsConnections)
    throw new AppError('restore', `${name} accepts no connections; nothing was changed`, {
      hint: `alter database ${visibleSql(quoteIdent(name))} allow_connections true`,
    })
  return { ...found, properties: found.properties }
}

/**
 * What a person must know before, in lines.
 * @throws {AppError} `restore`, `refused` if the contents must not be replaced now
 */
export async function describeInPlace(
  { facts }: Replaceable,
  options: {
    connect(database: string): Promise<Session>
    name: string
    manifest: Manifest
    toc: Toc
    isolated: boolean
    wanted: Pick<WantedRestore, 'swap'>
  },
): Promise<string[]> {
  const { connect, name, manifest, toc, isolated, wanted } = options
  const { swap } = wanted
  const session = await connect(name)
  const here = await readInPlaceFacts(session.sql).finally(() => session.end())
  const contents = { toc, isolated }
  const problem = refusal(findInPlaceRefusals(facts, here, { manifest, contents, allowed: swap! }), {
    id: manifest.id,
    into: name,
  })
  if (problem) throw problem
  return inPlaceConsequences(facts, here, {
    sizeBytes: manifest.database.size_bytes,
    backupFirst: swap!.backupFirst,
  })
}
