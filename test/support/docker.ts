import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The image under test; test/support/image.ts builds it. Other checkouts may be tested on the same engine. */
export const image = `pgbosun:test-${createHash('sha256')
  .update(import.meta.dirname)
  .digest('hex')
  .slice(0, 8)}`

/** On every container a test starts by itself; its value is the process that runs the tests. */
export const label = 'pgbosun.test.run'
export const labelValue = () => process.env.BOSUN_TEST_RUN ?? ''

export type Finished = { code: number | null; stdout: string; stderr: string }

/** Runs the docker command, as a user types it. */
export function docker(args: string[], { cwd = '/', env = {} }: { cwd?: string; env?: Record<string, string> } = {}) {
  const child = spawn('docker', args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const out = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk) => {
    out.stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    out.stderr += chunk
  })
  return new Promise<Finished>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, ...out }))
  })
}

/** The same, and it has to succeed. @returns stdout */
export async function dockerOk(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await docker(args)
  if (code !== 0) throw new Error(`docker ${args.join(' ')}: ${code}\n${stderr}`)
  return stdout.trim()
}

/** How k8s/job.yaml and compose.yaml run the image. */
const hardened = ['--read-only', '--cap-drop=ALL', '--security-opt=no-new-privileges', '--memory=128m']

type Options = {
  network?: string
  env?: Record<string, string>
  /** Paths in the container by paths here; read-only. */
  mounts?: Record<string, string>
  /** Whether there is a /tmp that can be written; by default there is. */
  tmp?: boolean
  /** More flags of `docker run`. */
  flags?: string[]
}

/** Arguments of `docker run` for the image under test. */
export const runArgs = (args: string[], { network, env = {}, mounts = {}, tmp = true, flags = [] }: Options) => [
  'run',
  `--label=${label}=${labelValue()}`,
  ...hardened,
  ...(tmp ? ['--tmpfs=/tmp'] : []),
  ...(network === undefined ? [] : [`--network=${network}`]),
  ...Object.entries(env).map(([name, value]) => `--env=${name}=${value}`),
  ...Object.entries(mounts).map(([source, target]) => `--volume=${source}:${target}:ro`),
  ...flags,
  image,
  ...args,
]

/** Runs the image to its end. */
export const run = (args: string[], options: Options = {}) =>
  docker(runArgs(args, { ...options, flags: ['--rm', ...(options.flags ?? [])] }))

/** Uses a new folder that the user of the image may read, then removes it. */
export async function withReadableDir(use: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'pgbosun-container-'))
  try {
    await chmod(dir, 0o755)
    await use(dir)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}
