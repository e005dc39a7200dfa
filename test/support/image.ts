import { execFileSync, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { image, label } from './docker.ts'

/** Builds the image that the container tests run. An engine has to answer, and has to have the base images. */
export default function setup() {
  if (spawnSync('docker', ['info'], { stdio: 'ignore' }).status !== 0)
    throw new Error('no container engine answers: run eval "$(scripts/containers/engine.sh start)" first')
  // testcontainers' own janitor is an image from a registry; what a killed run leaves is removed below
  process.env.TESTCONTAINERS_RYUK_DISABLED = 'true'

  const startedAt = performance.now()
  execFileSync('docker', ['build', '--quiet', '--tag', image, '--file', 'Containerfile', '.'], {
    cwd: join(import.meta.dirname, '..', '..'),
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  console.log(`built ${image} in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`)

  return () => {
    const ids = execFileSync('docker', ['ps', '--all', '--quiet', '--filter', `label=${label}`], { encoding: 'utf8' })
    if (ids.trim() !== '') execFileSync('docker', ['rm', '--force', '--volumes', ...ids.trim().split('\n')])
  }
}
