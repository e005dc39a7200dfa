import { execFileSync, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { comments, folder, type Manifest, parseManifest } from './manifest.ts'

export const chart = join(folder, '..', 'charts', 'pgbosun')

const found = spawnSync(join(folder, '..', 'scripts', 'helm.sh'), { encoding: 'utf8' })

/** The real Helm, and why there is none. */
export const helm = found.status === 0 ? found.stdout.trim() : undefined
export const helmMissing = found.stderr.trim().split('\n').at(-1)

/** What Helm makes of the chart with these flags, as a manifest. Throws with what Helm says. */
export function render(...flags: string[]): Manifest {
  const args = ['template', 'shop', chart, '--kube-version=1.33.0', ...flags]
  return parseManifest('charts/pgbosun', comments() + execFileSync(helm!, args, { encoding: 'utf8', stdio: 'pipe' }))
}
