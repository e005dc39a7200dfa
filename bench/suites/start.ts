import { bareNode, command, psqlSelect } from '../programs.ts'
import type { Race } from '../rounds.ts'
import type { Setting } from './setting.ts'

/** How long starting takes, before there is any work. */
export async function start({ cluster, builds }: Setting): Promise<Race> {
  const ours = (flag: string) =>
    builds.map(({ name, program }) => ({
      name: `${name} ${flag}`,
      next: async () => ({ command: command([process.execPath, program, flag]) }),
    }))
  const url = cluster.url('postgres')
  return {
    title: 'Starting',
    contestants: [
      { name: 'node -e 0', next: async () => ({ command: bareNode() }) },
      ...ours('--version'),
      ...ours('--help'),
      { name: 'psql select 1', next: async () => ({ command: psqlSelect(url) }) },
    ],
    references: ['node -e 0'],
    targets: ['--version', '--help'].map((flag) => ({ of: `pgbosun ${flag}`, to: 'node -e 0', atMost: 1.15 })),
    warmUp: true,
  }
}
