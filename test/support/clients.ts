import { globSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Folders with programs of PostgreSQL: those of packages, and those that `scripts/debian-server.sh` has unpacked. The newest first. */
export const programFolders = [
  ...globSync('/usr/lib/postgresql/*/bin'),
  ...globSync(join(tmpdir(), 'pgbosun-servers-*/debian-*/root/usr/lib/postgresql/*/bin')),
].sort((a, b) => majorOf(b) - majorOf(a))

export function majorOf(folder: string): number {
  return Number(/(\d+)\/bin$/.exec(folder)?.[1])
}
