import { execFileSync } from 'node:child_process'
import { existsSync, globSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { findServerBinaries } from '../../scripts/server.ts'
import type { Cluster } from '../cluster.ts'
import { command } from '../programs.ts'
import type { Contestant, Race } from '../rounds.ts'
import { type Setting, titleWith } from './setting.ts'

/** Text of 4,000 words, some of them far more common than others, and jsonb, beside pgbench's accounts. */
const documents = `
  select setseed(0.5);
  create table articles as
    select g as id, (select string_agg(substr(md5(word::text), 1, 3 + word % 7), ' ')
                       from (select floor(4000 * power(random(), 3))::int + 0 * g as word from generate_series(1, 200)) words) as body
      from generate_series(1, 120000) g;
  create table events as
    select gen_random_uuid() as id, jsonb_build_object('user', g % 5000, 'kind', (array['view', 'click', 'buy'])[1 + g % 3],
      'at', timestamptz '2026-01-01' + g * interval '1 s', 'session', md5((g % 90000)::text)) as data
      from generate_series(1, 700000) g`

/** Fills a database with about 1 GB. */
export async function fill(cluster: Cluster, database: string): Promise<void> {
  const [binDir = ''] = findServerBinaries()
  process.stderr.write('filling a database\n')
  execFileSync(join(binDir, 'pgbench'), ['-i', '-q', '-s', '60', cluster.url(database)], { stdio: 'ignore' })
  await cluster.ask(database, documents)
  await cluster.ask(database, 'vacuum analyze')
}

/** What a verified backup costs at least: plain programs that dump, compress, read back and decode as pgbosun does. */
const plainPrograms = `
  pg_dump -Fc -Z0 "$URL" | zstd -q -f -2 -o dump.zst
  zstd -q -dc dump.zst | pg_restore -f /dev/null`

/** A backup of a database of about 1 GB, read back and decoded, compared with what people use instead. */
export async function backup({ cluster, dir, builds, link }: Setting): Promise<Race> {
  const [binDir = ''] = findServerBinaries()
  const database = await cluster.createDatabase()
  const url = cluster.url(database, link)
  await fill(cluster, database)

  const store = join(dir, 'store')
  const sizeOf = async (pattern: string) =>
    globSync(pattern, { cwd: dir }).reduce((sum, file) => sum + statSync(join(dir, file)).size, 0)
  const ours = builds.map(
    ({ name, program }): Contestant => ({
      name,
      async next() {
        rmSync(store, { recursive: true, force: true })
        const env = { DATABASE_URL: url, PGBOSUN_BACKUP_STORE: pathToFileURL(store).href }
        return {
          command: command([process.execPath, program, 'backup', 'run'], env),
          resultBytes: () => sizeOf('store/*/*/dump.zst'),
        }
      },
    }),
  )
  const [newest] = builds
  const config = join(dir, 'two-stores.json')
  const stores = [store, join(dir, 'second')].map((folder) => pathToFileURL(folder).href)
  writeFileSync(config, JSON.stringify({ backup: { stores } }))
  const twice: Contestant = {
    name: 'pgbosun, two stores',
    async next() {
      for (const folder of ['store', 'second']) rmSync(join(dir, folder), { recursive: true, force: true })
      return {
        command: command([process.execPath, newest!.program, 'backup', 'run', '--config', config], {
          DATABASE_URL: url,
        }),
        resultBytes: () => sizeOf('store/*/*/dump.zst'),
      }
    },
  }
  const shell = (name: string, script: string, result: string): Contestant => ({
    name,
    next: async () => ({
      command: command(
        ['bash', '-e', '-o', 'pipefail', '-c', script],
        { URL: url, PATH: `${binDir}:${process.env.PATH}` },
        dir,
      ),
      resultBytes: () => sizeOf(result),
    }),
  })
  return {
    title: titleWith('backup of a database of about 1 GB', link),
    contestants: [
      ...ours,
      twice,
      ...(hasZstd() ? [shell('pg_dump | zstd, zstd | pg_restore', plainPrograms, 'dump.zst')] : []),
      shell('pg_dump | gzip', 'pg_dump "$URL" | gzip > dump.sql.gz', 'dump.sql.gz'),
      shell('pg_dump -Fc', 'pg_dump -Fc -f dump.custom "$URL"', 'dump.custom'),
      shell('pg_dump -f', 'pg_dump -f dump.sql "$URL"', 'dump.sql'),
    ],
    references: ['pg_dump | gzip', 'pg_dump -Fc', 'pgbosun'],
    targets: [
      { of: 'pgbosun', to: 'pg_dump | gzip', atMost: 0.4, what: 'cpu' },
      { of: 'pgbosun', to: 'pg_dump -Fc', atMost: 1.1 },
      { of: 'pgbosun', to: 'pg_dump -Fc', atMost: 0.85, what: 'size' },
      { of: 'pgbosun, two stores', to: 'pgbosun', atMost: 1.15, what: 'cpu' },
    ],
    warmUp: true,
  }
}

export const hasZstd = () => (process.env.PATH ?? '').split(':').some((folder) => existsSync(join(folder, 'zstd')))
