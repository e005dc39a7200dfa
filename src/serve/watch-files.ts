import { createHash } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { silentLog } from '../log.ts'
import { openSession } from '../postgres/connect.ts'
import type { Context } from '../run/context.ts'
import { planMigrateStep } from '../up/migrate.ts'
import { hasCommand } from '../up/target.ts'
import { findTargets, migrateTargets } from '../up/targets.ts'
import { type FilesSeen, fileConditions } from './changed-files.ts'
import { replaceConditions } from './conditions.ts'
import type { ServeState } from './state.ts'

/** Notices when the configuration or migrations change while `serve` runs: a refreshed ConfigMap, a mounted folder. */
export type FileWatch = {
  /** Remembers the files as they are now. Call it each time before `up` reads them. */
  note(): Promise<void>
  /** Looks every 10 s, until the signal. */
  watch(): void
}

const lookEveryMs = 10_000
/** How often to ask, while files have changed, whether somebody else has run `up`. */
const askEveryMs = 30_000
const statementTimeoutMs = 5_000
const names = ['configuration-changed', 'migrations-pending'] as const

/** @param migrations whether this process also watches migrations */
export function watchFiles(context: Context, state: ServeState, { migrations }: { migrations: boolean }): FileWatch {
  const { log, signal, loaded } = context
  const fingerprint = createFingerprint()
  const dirs = migrations
    ? findTargets(context, false)
        .filter((target) => !hasCommand(target))
        .flatMap(({ dirs }) => dirs)
    : []
  const seeNow = async (): Promise<FilesSeen> => ({
    configuration: loaded.file && (await fingerprint(loaded.file)),
    migrations: new Map((await Promise.all(dirs.map((dir) => readFolder(dir, loaded.baseDir, fingerprint)))).flat()),
  })
  let first: FilesSeen | undefined
  let noted: FilesSeen | undefined
  let askedAt = Number.NEGATIVE_INFINITY
  const look = async () => {
    if (!noted || !first) return
    const now = await seeNow()
    const changes = (then: FilesSeen) =>
      fileConditions({ ...then, configuration: first?.configuration }, now, {
        before: state.conditions,
        at: new Date().toISOString(),
      })
    const asks = performance.now() - askedAt > askEveryMs
    if (asks && changes(noted).some(({ name }) => name === 'migrations-pending')) {
      askedAt = performance.now()
      if (await isApplied(context)) noted = now
    }
    replaceConditions(state, names, changes(noted), { log, now: new Date() })
  }
  return {
    async note() {
      noted = await seeNow()
      first ??= noted
    },
    async watch() {
      while (!signal.aborted) {
        await sleep(lookEveryMs, undefined, { signal, ref: false }).catch(() => {})
        if (signal.aborted) return
        await look().catch((error: Error) => log.debug({ problem: error.message }, 'the files could not be read'))
      }
    },
  }
}

/** Whether all files that exist now are applied. False when that cannot be found out. */
async function isApplied(context: Context): Promise<boolean> {
  const { connection, log, signal, runId } = context
  try {
    for (const target of (await migrateTargets(context)).filter((one) => !hasCommand(one))) {
      const session = await openSession(connection(), {
        ...(target.database !== undefined && { database: target.database }),
        applicationName: `pgbosun ${runId}`,
        log: silentLog,
        endWith: signal,
        statementTimeoutMs,
      })
      const { plan } = await planMigrateStep(context, target, session.sql, { looking: true }).finally(() =>
        session.end(),
      )
      if (plan.steps.length + plan.problems.length > 0) return false
    }
    return true
  } catch (error) {
    log.debug({ problem: (error as Error).message }, 'could not find out whether the new migrations are applied')
    return false
  }
}

type Fingerprint = (file: string) => Promise<string>

/** Reads content again only when the file has changed. A hash is needed because a refreshed ConfigMap has new files with old content. */
function createFingerprint(): Fingerprint {
  const known = new Map<string, { stamp: string; hash: string }>()
  return async (file) => {
    const { size, mtimeMs, ino } = await stat(file)
    const stamp = `${size} ${mtimeMs} ${ino}`
    const before = known.get(file)
    if (before?.stamp === stamp) return before.hash
    const hash = createHash('sha256')
      .update(await readFile(file))
      .digest('base64')
    known.set(file, { stamp, hash })
    return hash
  }
}

/** Names are relative to the configuration. Ignores names that start with a dot, such as the folders that Kubernetes adds to a mount. */
async function readFolder(dir: string, baseDir: string, fingerprint: Fingerprint): Promise<[string, string][]> {
  const entries = await readdir(dir, { recursive: true }).catch(() => [])
  const files = entries.filter((path) => path.endsWith('.sql') && !/(^|\/)\./.test(path)).sort()
  const found: [string, string][] = []
  for (const file of files) found.push([relative(baseDir, join(dir, file)), await fingerprint(join(dir, file))])
  return found
}
