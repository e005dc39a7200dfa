import { join } from 'node:path'
import { writeMigrations } from '../migrations.ts'
import { dbmate, type Migrator, pgbosunAsDbmate, pgbosunUp, psqlScript } from '../programs.ts'
import type { Contestant, Race } from '../rounds.ts'
import { checkHistory } from './history.ts'
import { type Setting, titleWith } from './setting.ts'

/** 1,000 small migrations on an empty database, each in a transaction of its own. */
export async function apply({ cluster, dir, builds, link }: Setting): Promise<Race> {
  const migrations = writeMigrations(join(dir, 'apply'), 1_000)
  const contestant = (migrator: Migrator): Contestant => ({
    name: migrator.name,
    async next() {
      const database = await cluster.createDatabase()
      return {
        command: migrator.up(cluster.url(database, link), migrations),
        check: () => checkHistory(cluster, database, migrator, migrations),
      }
    },
  })
  const ours = builds.map(({ name, program }) => pgbosunUp(name, program))
  return {
    title: titleWith('1,000 small migrations', link),
    contestants: [...ours, pgbosunAsDbmate, dbmate, psqlScript].map(contestant),
    references: ['dbmate', 'psql'],
    targets:
      link === undefined
        ? [
            { of: 'pgbosun', to: 'dbmate', atMost: 0.55 },
            { of: 'pgbosun', to: 'psql', atMost: 1 },
            { of: pgbosunAsDbmate.name, to: 'dbmate', atMost: 0.55 },
          ]
        : [
            { of: 'pgbosun', to: 'dbmate', atMost: 0.03 },
            { of: pgbosunAsDbmate.name, to: 'dbmate', atMost: 0.03 },
          ],
    warmUp: link === undefined,
  }
}
