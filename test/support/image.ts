import { execFileSync, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { image, label } from './docker.ts'

/** Builds the image that the container tests run. An engine has to answer, and has to have the base images. */
export default function setup() {
  if (spawnSync('docker', ['info'], { stdio: 'ignore' }).status !== 0)
    throw new Error('no container engine answers: run eval "$(scripts/containers/engine.sh start)" first')
  // testcontainers' own janitor is an image from a registry; what a killed run leaves is removed below
  process.env.TESTCONTAINERS_RYUK_DISABLED = 'true'
  process.env.BOSUN_TEST_RUN = String(process.pid)

  const startedAt = performance.now()
  execFileSync('docker', ['build', '--quiet', '--tag', image, '--file', 'Containerfile', '.'], {
    cwd: join(import.meta.dirname, '..', '..'),
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  console.log(`built ${image} in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`)

  return () => {
    const format = `{{.ID}} {{.Label "${label}"}}`
    const listed = execFileSync('docker', ['ps', '--all', `--filter=label=${label}`, `--format=${format}`], {
      encoding: 'utf8',
    })
    const ids = listed.split('\n').flatMap((line) => {
      const [id, run] = line.split(' ')
      return id && (Number(run) === process.pid || !isRunning(Number(run))) ? [id] : []
    })
    if (ids.length > 0) execFileSync('docker', ['rm', '--force', '--volumes', ...ids])
  }
}

/** Containers of other runs on this engine are theirs. */
function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
