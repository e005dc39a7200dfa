import { join } from 'node:path'
import { sampleArgs, sampleDatabase, sampleEnv } from '../../scripts/sample.ts'
import { measure } from '../measure.ts'
import { bareNode } from '../programs.ts'
import type { Contestant, Race } from '../rounds.ts'
import { roundTripsOf, type Setting, titleWith } from './setting.ts'

/** `up` of the sample application (roles, privileges, migrations, seeds, check) with nothing to do. */
export async function up({ cluster, dir, builds, link }: Setting): Promise<Race> {
  const upOf = (program: string, via: Setting['link']) => ({
    argv: [process.execPath, program, 'up', ...sampleArgs],
    cwd: dir,
    env: sampleEnv(cluster.url(sampleDatabase, via)),
  })
  const contestants: Contestant[] = []
  const notes: string[] = []
  for (const { name, program } of builds) {
    await measure(upOf(program, undefined), join(dir, 'log'))
    contestants.push({ name, next: async () => ({ command: upOf(program, link) }) })
    if (link) notes.push(await roundTripsOf(name, cluster, (far) => measure(upOf(program, far), join(dir, 'log'))))
  }
  return {
    title: titleWith('up of the sample application, nothing to do', link),
    contestants: [{ name: 'node -e 0', next: async () => ({ command: bareNode() }) }, ...contestants],
    references: ['node -e 0'],
    targets:
      link === undefined
        ? [
            { of: 'pgbosun', to: 'node -e 0', atMost: 3.5 },
            { of: 'pgbosun', to: 'node -e 0', atMost: 3, what: 'cpu' },
          ]
        : [],
    warmUp: true,
    notes,
  }
}
