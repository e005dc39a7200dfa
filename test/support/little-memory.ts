import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { program } from './cli.ts'

/**
 * A group of processes that may have 64 MiB together; undefined, with a reason on stderr, where none can be made. Only root can make one,
 * and the sources need more than the program.
 *
 * @param name of the group, and what for: for the reason
 */
export function littleMemory(name: string): { through: string[]; remove(): void } | undefined {
  const folder = `/sys/fs/cgroup/memory/pgbosun-test-${name}`
  try {
    if (!program.endsWith('.cjs')) throw new Error('the program is not built')
    mkdirSync(folder)
    writeFileSync(join(folder, 'memory.limit_in_bytes'), `${64 * 1024 * 1024}`)
  } catch (error) {
    process.stderr.write(
      `NOT RUN: ${name} in 64 MiB: needs the built program, root and cgroups of version 1: ${(error as Error).message}\n`,
    )
    return undefined
  }
  return {
    through: ['sh', '-c', `echo $$ > ${folder}/cgroup.procs; exec "$@"`, 'sh'],
    remove: () => rmdirSync(folder),
  }
}
