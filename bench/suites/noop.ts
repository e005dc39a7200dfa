import { join } from 'node:path'
import { measure } from '../measure.ts'
import { writeMigrations } from '../migrations.ts'
import {
  bareNode,
  dbmate,
  graphileMigrate,
  type Migrator,
  nodePgMigrate,
  pgbosunAsDbmate,
  pgbosunUp,
  psqlSelect,
  umzug,
} from '../programs.ts'
import type { Contestant, Race } from '../rounds.ts'
import { checkHistory } from './history.ts'
import { type Setting, titleWith } from './setting.ts'

const otherNodeTools = [nodePgMigrate, umzug, graphileMigrate]

/** `migrate up` when all of 100 migrations have been applied. */
export async function noop({ cluster, dir, builds, link }: Setting): Promise<Race> {
  const migrations = writeMigrations(join(dir, 'noop'), 100)

  const prepared = async (migrator: Migrator): Promise<Contestant> => {
    const database = await cluster.createDatabase()
    await measure(migrator.up(cluster.url(database), migrations), join(dir, 'log'))
    const check = () => checkHistory(cluster, database, migrator, migrations)
    await check()
    return {
      name: migrator.name,
      next: async () => ({ command: migrator.up(cluster.url(database, link), migrations), check }),
    }
  }

  const ours = builds.map(({ name, program }) => pgbosunUp(name, program))
  const contestants: Contestant[] = [{ name: 'node -e 0', next: async () => ({ command: bareNode() }) }]
  for (const migrator of [...ours, pgbosunAsDbmate, dbmate, ...otherNodeTools])
    contestants.push(await prepared(migrator))
  const url = cluster.url('postgres', link)
  contestants.push({ name: 'psql select 1', next: async () => ({ command: psqlSelect(url) }) })

  return {
    title: titleWith('Nothing to do, 100 migrations applied', link),
    contestants,
    references: ['node -e 0', 'dbmate', 'psql select 1'],
    targets:
      link === undefined
        ? [
            { of: 'pgbosun', to: 'node -e 0', atMost: 2.4 },
            ...otherNodeTools.map(({ name }) => ({ of: 'pgbosun', to: name, atMost: 0.5 })),
          ]
        : [{ of: 'pgbosun', to: 'dbmate', atMost: 0.8 }],
    warmUp: true,
  }
}
