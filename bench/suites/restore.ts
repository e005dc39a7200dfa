import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { findServerBinaries } from '../../scripts/server.ts'
import { command } from '../programs.ts'
import type { Contestant, Race } from '../rounds.ts'
import { fill, hasZstd } from './backup.ts'
import { type Setting, titleWith } from './setting.ts'

const jobs = 2

/** A restore of a database of about 1 GB over several connections, compared with pg_restore, with and without decoding. */
export async function restore({ cluster, dir, builds, link }: Setting): Promise<Race> {
  const [binDir = ''] = findServerBinaries()
  const database = await cluster.createDatabase()
  await fill(cluster, database)
  const path = `${binDir}:${process.env.PATH}`
  const env = {
    DATABASE_URL: cluster.url(database, link),
    PGBOSUN_BACKUP_STORE: pathToFileURL(join(dir, 'store')).href,
  }
  execFileSync(process.execPath, [builds[0]!.program, 'backup', 'run'], {
    env: { ...env, PATH: path },
    stdio: 'inherit',
  })
  const dump = (args: string, to: string) =>
    execFileSync('bash', ['-e', '-o', 'pipefail', '-c', `pg_dump ${args} "$URL" ${to}`], {
      env: { URL: cluster.url(database), PATH: path },
      cwd: dir,
    })
  dump('-Fc', '> dump.custom')
  if (hasZstd()) dump('-Fc -Z0', '| zstd -q -f -2 -o dump.zst')

  let last = 0
  const into = new Map<string, string>()
  /** A name for the next run of a contestant; what its last run made is dropped. */
  const renew = async (name: string): Promise<string> => {
    const before = into.get(name)
    if (before !== undefined) await cluster.ask('postgres', `drop database if exists ${before} with (force)`)
    const next = `restored_${++last}`
    into.set(name, next)
    return next
  }
  const ours = builds.map(
    ({ name, program }): Contestant => ({
      name,
      async next() {
        const args = ['restore', 'latest', '--into', await renew(name), '--yes', '--jobs', String(jobs)]
        return { command: command([process.execPath, program, ...args], { ...env, PATH: path }) }
      },
    }),
  )
  const shell = (name: string, script: string): Contestant => ({
    name,
    async next() {
      const target = await renew(name)
      await cluster.ask('postgres', `create database ${target} template template0`)
      const url = cluster.url(target, link)
      return { command: command(['bash', '-e', '-o', 'pipefail', '-c', script], { URL: url, PATH: path }, dir) }
    },
  })
  const plain = `pg_restore -j ${jobs}`
  const decoded = `zstd -d, ${plain}`
  return {
    title: titleWith(`restore of a database of about 1 GB, ${jobs} connections`, link),
    contestants: [
      ...ours,
      shell(plain, `${plain} -e -d "$URL" dump.custom`),
      ...(hasZstd()
        ? [shell(decoded, `zstd -q -d -f dump.zst -o dump.plain; ${plain} -e -d "$URL" dump.plain; rm dump.plain`)]
        : []),
    ],
    references: [plain],
    targets: [
      ...(hasZstd() ? [{ of: 'pgbosun', to: decoded, atMost: 1.05 }] : []),
      { of: 'pgbosun', to: plain, atMost: 1.15 },
    ],
    warmUp: true,
  }
}
