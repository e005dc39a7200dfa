import type { Manifest } from '../archive/manifest.ts'
import { AppError, hasReason } from '../errors.ts'
import { wasLost } from '../postgres/lost.ts'
import { isServerError } from '../postgres/server-error.ts'
import { indented } from '../text.ts'
import { renderBytes } from '../units.ts'
import { type CleanedUp, removal } from './clean-up.ts'
import { asSuperuserFlag } from './load.ts'
import { causes, goingOn } from './said.ts'

type Failing = { manifest: Manifest; into: string; what?: string; isolated: boolean; noOwner: boolean }

/** Any failure of a restore, with a message that says what it means for the target. */
export function failed(error: unknown, plan: Failing, signal: AbortSignal, cleaned: CleanedUp): unknown {
  const { manifest, into, isolated } = plan
  if (hasReason(error, 'outcome-unknown')) return error
  if (signal.aborted) return signal.reason
  if (cleaned.lost || wasLost(error)) return lost(error, plan, cleaned)
  const rest = restOf(cleaned)
  if (error instanceof AppError) {
    const kind = error.kind === 'backup' && error.reason !== 'store-unreadable' ? 'restore' : error.kind
    const hint =
      error.reason === 'disk-full'
        ? `${error.hint}: ${needOf(plan)}`
        : plan.what !== undefined && error.reason === 'load-failed'
          ? ofImport
          : error.hint
    return error.with({ kind, hint, message: `${plan.what ?? `backup ${manifest.id}`}: ${error.message}; ${rest}` })
  }
  if (isServerError(error))
    return new AppError(
      error.code === '42501' && !isolated ? 'refused' : 'restore',
      `${into} could not be ${plan.what === undefined ? 'restored' : 'imported'}: ${error.message}; ${rest}`,
      {
        hint:
          (error.code === '53100' || plan.what !== undefined ? undefined : (causes[error.code] ?? error.hint)) ??
          adviceFor(error.code, plan),
        sqlstate: error.code,
        excerpt: error.detail && `  DETAIL:  ${error.detail}`,
        cause: error,
      },
    )
  return error
}

/** The connection is gone. If the server went down, running it again would most likely end in the same way. */
function lost(error: unknown, plan: Failing, cleaned: CleanedUp): AppError {
  const { into } = plan
  const done = plan.what === undefined ? 'restored' : 'imported'
  const { published, down, left } = cleaned
  if (published)
    return new AppError('unreachable', `the connection was lost after ${into} had been ${done}: it is complete`, {
      hint: 'nothing: there is no need to run it again',
      report: { touched: true },
      cause: error,
    })
  const [kind, what] = down
    ? (['restore', 'the server went down'] as const)
    : (['unreachable', 'the connection was lost'] as const)
  const again =
    left === undefined
      ? 'run it again'
      : `run it again, which first removes what is left, or remove it: \`${removal(left)}\``
  return new AppError(kind, `${what} while ${into} was being ${done}; ${restOf(cleaned)}`, {
    hint: down
      ? `look in the log of the server for the reason. If its disk was full: ${needOf(plan)}. Then ${again}`
      : `once the server is back, ${again}`,
    excerpt: saidBefore(error),
    cause: error,
  })
}

const needOf = ({ manifest: { database }, what }: Pick<Failing, 'manifest' | 'what'>): string =>
  `the database had ${renderBytes(database.size_bytes)} ${what === undefined ? 'when it was backed up' : 'where it comes from'}, so the disk needs that much, and about as much again for the write-ahead log`

const restOf = ({ left, published }: CleanedUp): string =>
  published === undefined
    ? 'it is complete or absent'
    : left === undefined
      ? 'nothing was changed'
      : `what was loaded so far is left in the database ${left}`

/** What a client program, or the server, said when it happened. */
function saidBefore(error: unknown): string | undefined {
  if (!(error instanceof Error) || (wasLost(error) && !isServerError(error))) return undefined
  const more = error instanceof AppError && error.excerpt !== undefined ? `\n${error.excerpt}` : ''
  return `${indented(error.message, 0)}${more}`
}

/** Nobody is there to choose a flag. */
const ofImport =
  'see the log of the server; a login that owns the new database, and may do nothing else, loads it: what needs more rights has to be removed from the source, or left out'

function adviceFor(code: string, plan: Failing): string {
  const { what, isolated, noOwner } = plan
  if (what !== undefined && !['42809', '22023', '53100', '55006'].includes(code)) return ofImport
  const advice: Record<string, string> = {
    '42501': isolated ? trustHint : `connect as a superuser${noOwner ? '' : ', or pass --no-owner'}`,
    '42809': 'install the locale of the backup on the server (`locale-gen`), then run it again',
    '22023': 'install the locale of the backup on the server, or use a server built with ICU',
    '42P04': 'choose another name for --into',
    '53100': `free space on the disk of the server: ${needOf(plan)}`,
    '55006': 'end the sessions that are connected to the database, then run it again',
  }
  return advice[code] ?? `see the log of the server; ${goingOn}${isolated ? `; ${trustHint}` : ''}`
}

const trustHint = `if you trust everybody who could write to the database that was backed up, ${asSuperuserFlag} loads it with your own rights`
