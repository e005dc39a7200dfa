import { execFile, execFileSync, spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { type Finished, image } from '../docker.ts'
import { type Manifest, ofKind } from './manifest.ts'
import { played, shopImage } from './shop.ts'
import type { Container, Pod } from './types.ts'

type Env = Record<string, string>

export type Podman = { run(...args: string[]): Promise<Finished> }

const script = join(import.meta.dirname, '..', '..', '..', 'scripts', 'containers', 'podman.sh')

/** A podman with our images, or why there is none. */
export function findPodman(): Podman | string {
  const { status, stdout, stderr } = spawnSync(script, { encoding: 'utf8' })
  if (status !== 0) return stderr.trim().split('\n').at(-1)!
  const env: Env = Object.fromEntries([...stdout.matchAll(/(\w+)=(\S+)/g)].map(([, name, value]) => [name!, value!]))
  const run = (...args: string[]) =>
    new Promise<Finished>((resolve) => {
      const child = execFile(
        'podman',
        args,
        { env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env } },
        (_, out, err) => resolve({ code: child.exitCode, stdout: out, stderr: err }),
      )
    })
  return { run }
}

/** Copies our images from the engine. */
export async function loadImages({ run }: Podman, dir: string): Promise<void> {
  const file = join(dir, 'images.tar')
  execFileSync('docker', ['save', '--output', file, image, shopImage])
  const { code, stderr } = await run('load', '--input', file)
  if (code !== 0) throw new Error(stderr)
  await run('image', 'prune', '--force') // what newer ones replaced
}

/**
 * Writes a manifest as podman 4 can play it: it writes Secrets in base64, so they are ConfigMaps here; it asks probes by a curl in the
 * container; it publishes every port on the host; it starts an init container anew for ever, so `Never`. Its volumes have the names of
 * their sources, so all get names of their own.
 */
export async function writePlayable(
  manifest: Manifest,
  { name, file, sources }: { name: string; file: string; sources: Record<string, Record<string, string>> },
): Promise<void> {
  const { spec, ...deployment } = ofKind(manifest, 'Deployment')
  const { template } = spec
  const pod = { ...toPodman(template.spec, name), restartPolicy: 'Never' }
  const metadata = { ...deployment.metadata, name }
  const maps = Object.entries(sources).map(([source, data]) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: `${name}-${source}` },
    data,
  }))
  const objects = [...maps, { ...deployment, metadata, spec: { ...spec, template: { ...template, spec: pod } } }]
  await writeFile(file, objects.map((object) => stringify(object)).join('---\n'))
}

const toPodman = (pod: Pod, prefix: string) => ({
  ...pod,
  initContainers: pod.initContainers?.map((container) => toContainer(container, prefix)),
  containers: pod.containers.map((container) => toContainer(container, prefix)),
  volumes: pod.volumes?.map(({ name, secret, configMap, ...volume }) => {
    const source = secret?.secretName ?? configMap?.name
    const map = { name: `${prefix}-${source}`, ...(secret && { items: secret.items }) }
    return { name: `${prefix}-${name}`, ...volume, ...(source !== undefined && { configMap: map }) }
  }),
})

const toContainer = ({ ports: _, readinessProbe: __, ...container }: Container, prefix: string) => ({
  ...container,
  image: `localhost/${played(container.image)}`,
  imagePullPolicy: 'Never',
  volumeMounts: container.volumeMounts?.map((mount) => ({ ...mount, name: `${prefix}-${mount.name}` })),
})
