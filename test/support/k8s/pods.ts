import { chmod, chown, mkdir, readFile, rename, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { docker, dockerOk, image, label } from '../docker.ts'
import { uniqueName } from '../postgres.ts'
import { containersOf } from './manifest.ts'
import { played } from './shop.ts'
import type { Container, JobSpec, Pod, Volume } from './types.ts'

type Files = Record<string, string>

/** What the pods of a cluster find there. */
export type Cluster = {
  network: string
  /** A folder that the user of the image may read. */
  dir: string
  /** Files of Secrets and ConfigMaps, by name. */
  sources: Record<string, Files>
}

export type Ended = { name: string; code: number; log: string; message: string }

/**
 * A pod, started and stopped as kubelet does: its containers one after another, those with `restartPolicy: Always` among the first ones
 * until their startup probe passes, and stopped in the reverse order. They have the network in common, and no more rights than the
 * manifest gives. What a volume holds belongs to root and the group `fsGroup`. An emptyDir is each container's own, in memory.
 */
export type PlayedPod = {
  /** Until every container runs. What ended before it should is thrown. */
  start(): Promise<void>
  /** Until the last container ended by itself. @returns how each of them ended, up to the first that failed */
  finish(): Promise<Ended[]>
  /** SIGTERM, in the order of kubelet. @returns how the containers ended, the first one first */
  stop(): Promise<Ended[]>
  /** What a Secret or a ConfigMap holds from now on, as kubelet brings it into running containers. */
  update(source: string, files: Files): Promise<void>
  /** How the containers ended that were started anew. */
  restarts: Ended[]
  /** Whether there is a container of this name yet. */
  has(name: string): boolean
  log(name: string): Promise<string>
  exec(name: string, ...command: string[]): ReturnType<typeof docker>
  get(port: number, path: string): Promise<number | undefined>
  remove(): Promise<void>
}

/** @param alias what a Service calls it */
export async function createPod(
  pod: Pod,
  cluster: Cluster,
  claims: Record<string, string> = {},
  alias = '',
): Promise<PlayedPod> {
  const name = uniqueName('pod')
  const group = pod.securityContext?.fsGroup ?? 0
  const dir = join(cluster.dir, name)
  const ports = containersOf(pod).flatMap(({ ports = [] }) => ports.map(({ containerPort }) => containerPort))
  /** A folder, or a volume of the engine; '' for an emptyDir. */
  const volumes = new Map<string, string>()
  for (const volume of pod.volumes ?? []) volumes.set(volume.name, await makeVolume(volume))
  const infra = await dockerOk(
    ...['run', '--detach', `--label=${label}`, `--network=${cluster.network}`, `--network-alias=${alias || name}`],
    ...ports.map((port) => `--publish=127.0.0.1::${port}`),
    ...['--entrypoint=/usr/bin/catatonit', image, '-P'],
  )
  const addresses = new Map<number, string>()
  for (const port of ports) addresses.set(port, (await dockerOk('port', infra, String(port))).split('\n')[0]!)
  const ids = new Map<string, string>()
  const restarts: Ended[] = []
  let removed = false

  async function makeVolume({ name: volume, secret, configMap, persistentVolumeClaim }: Volume): Promise<string> {
    const source = secret?.secretName ?? configMap?.name
    if (source !== undefined) {
      const given = cluster.sources[source] ?? {}
      const files = secret ? Object.fromEntries(secret.items.map(({ key, path }) => [path, given[key]!])) : given
      await putFiles(join(dir, volume), files, group)
      return join(dir, volume)
    }
    const claim = persistentVolumeClaim && claims[persistentVolumeClaim.claimName]
    return claim ?? ''
  }

  async function run(container: Container): Promise<string> {
    const { securityContext = {}, env = [], volumeMounts = [], resources } = container
    const { runAsUser, runAsGroup } = securityContext
    const message = join(dir, `${container.name}.message`)
    await writeFile(message, '')
    await chmod(message, 0o666)
    const id = await dockerOk(
      ...['run', '--detach', `--label=${label}`, `--network=container:${infra}`, `--group-add=${group}`],
      ...(runAsUser === undefined ? [] : [`--user=${runAsUser}:${runAsGroup}`]),
      ...(securityContext.readOnlyRootFilesystem ? ['--read-only'] : []),
      ...(securityContext.allowPrivilegeEscalation === false ? ['--security-opt=no-new-privileges'] : []),
      ...(securityContext.capabilities?.drop ?? []).map((name) => `--cap-drop=${name}`),
      `--memory=${resources?.limits.memory?.replace('Mi', 'm').replace('Gi', 'g')}`,
      ...env.map(({ name, value }) => `--env=${name}=${value}`),
      `--volume=${message}:/dev/termination-log`,
      ...volumeMounts.map(({ name, mountPath, readOnly }) => {
        const source = volumes.get(name)!
        if (source === '') return `--mount=type=tmpfs,target=${mountPath},tmpfs-mode=1777`
        const kind = source.startsWith('/') ? 'type=bind' : 'type=volume,volume-nocopy'
        return `--mount=${kind},source=${source},target=${mountPath}${readOnly ? ',readonly' : ''}`
      }),
      played(container.image),
      ...(container.args ?? []),
    )
    ids.set(container.name, id)
    return id
  }

  async function ended(container: string): Promise<Ended> {
    const code = Number(await dockerOk('wait', ids.get(container)!))
    const message = await readFile(join(dir, `${container}.message`), 'utf8')
    return { name: container, code, log: await log(container), message }
  }

  const isRunning = async (id: string) => (await dockerOk('inspect', '--format={{.State.Running}}', id)) === 'true'

  /** Started when its probe passes; what ends is started anew, sooner here than by kubelet. */
  async function startSidecar(container: Container): Promise<void> {
    const { httpGet, periodSeconds = 10, failureThreshold = 3 } = container.startupProbe!
    if (!httpGet) throw new Error(`${container.name} has a startup probe without httpGet`)
    for (let failures = 0, id = await run(container); !removed; ) {
      if ((await get(Number(httpGet.port), httpGet.path)) === 200) return
      if (!(await isRunning(id))) {
        restarts.push(await ended(container.name))
        await docker(['rm', id])
        id = await run(container)
        failures = 0
      }
      if (++failures > failureThreshold) throw new Error(`${container.name} was not started in time`)
      await sleep(Math.min(periodSeconds, 0.5) * 1000)
    }
  }

  async function initialise(): Promise<Ended[]> {
    const done: Ended[] = []
    for (const container of pod.initContainers ?? []) {
      if (container.restartPolicy === 'Always') {
        await startSidecar(container)
        continue
      }
      await run(container)
      done.push(await ended(container.name))
      if (done.at(-1)!.code !== 0) break
    }
    return done
  }

  const log = async (container: string) => {
    const { stdout, stderr } = await docker(['logs', ids.get(container)!])
    return stdout + stderr
  }

  async function get(port: number, path: string): Promise<number | undefined> {
    try {
      return (
        await fetch(`http://${addresses.get(port)}${path}`, {
          headers: { connection: 'close' },
          signal: AbortSignal.timeout(5_000),
        })
      ).status
    } catch {
      return undefined
    }
  }

  return {
    restarts,
    get,
    log,
    has: (container) => ids.has(container),
    exec: (container, ...command) => docker(['exec', ids.get(container)!, ...command]),
    update: async (source, files) => {
      const volume = pod.volumes!.find(({ secret, configMap }) => (secret?.secretName ?? configMap?.name) === source)!
      await putFiles(join(dir, volume.name), files, group)
    },
    async start() {
      const failed = (await initialise()).find(({ code }) => code !== 0)
      if (failed) throw new Error(`${failed.name} ended with ${failed.code}: ${failed.log}`)
      for (const container of pod.containers) await run(container)
    },
    async finish() {
      const done = await initialise()
      if (done.some(({ code }) => code !== 0)) return done
      for (const container of pod.containers) await run(container)
      for (const container of pod.containers) done.push(await ended(container.name))
      return done
    },
    async stop() {
      const sidecars = (pod.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always')
      const order = [...pod.containers, ...sidecars.toReversed()].map((container) => container.name)
      const done: Ended[] = []
      for (const container of order) {
        await dockerOk('stop', `--time=${pod.terminationGracePeriodSeconds ?? 30}`, ids.get(container)!)
        done.push(await ended(container))
      }
      return done
    },
    async remove() {
      removed = true
      await docker(['rm', '--force', '--volumes', ...ids.values(), infra])
    },
  }
}

/** Files as kubelet writes them: links into a folder that an update replaces as a whole. */
async function putFiles(dir: string, files: Files, group: number): Promise<void> {
  const version = `..${uniqueName('version')}`
  await mkdir(join(dir, version), { recursive: true })
  for (const [name, text] of Object.entries(files)) {
    const file = join(dir, version, name)
    await writeFile(file, text)
    // only root may give files away
    if (process.getuid?.() === 0) await chown(file, 0, group)
    await chmod(file, process.getuid?.() === 0 ? 0o440 : 0o444)
    await symlink(join('..data', name), join(dir, name)).catch(() => {})
  }
  await symlink(version, join(dir, '..new'))
  await rename(join(dir, '..new'), join(dir, '..data'))
}

/** A volume of root that a group may write to. */
export async function makeEmpty(name: string, group: number): Promise<void> {
  await dockerOk('volume', 'create', `--label=${label}`, name)
  const give = `fs.chownSync('/volume', 0, ${group}); fs.chmodSync('/volume', 0o2770)`
  await dockerOk(
    ...['run', '--rm', '--user=0', `--mount=type=volume,volume-nocopy,source=${name},target=/volume`],
    ...['--entrypoint=/usr/local/bin/node', image, '-e', give],
  )
}

export type PlayedJob = { succeeded: boolean; tries: Ended[][] }

/** A Job: pods until one succeeds, `backoffLimit` is reached or its policy gives up. */
export async function playJob(job: JobSpec, cluster: Cluster, claims: Record<string, string> = {}): Promise<PlayedJob> {
  const tries: Ended[][] = []
  for (;;) {
    const pod = await createPod(job.template.spec, cluster, claims)
    const done = await pod.finish()
    await pod.remove()
    tries.push(done)
    const failed = done.find(({ code }) => code !== 0)
    if (!failed) return { succeeded: true, tries }
    if (tries.length > (job.backoffLimit ?? 6) || givesUp(job, failed)) return { succeeded: false, tries }
  }
}

const givesUp = ({ podFailurePolicy }: JobSpec, { name, code }: Ended) =>
  podFailurePolicy?.rules.some(
    (rule) =>
      rule.action === 'FailJob' && rule.onExitCodes.containerName === name && rule.onExitCodes.values.includes(code),
  ) === true
