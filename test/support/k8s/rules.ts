import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findCommand, parseFlags } from '../../../src/cli/args.ts'
import type { Command } from '../../../src/cli/command.ts'
import { commandNames, commands } from '../../../src/cli/commands.ts'
import { exitsOf } from '../../../src/cli/help.ts'
import { parseCron } from '../../../src/config/cron.ts'
import type { Env } from '../../../src/config/environment.ts'
import { loadConfig } from '../../../src/config/load.ts'
import type { Config } from '../../../src/config/schema.ts'
import { exitCodes, type Kind } from '../../../src/errors.ts'
import {
  containersOf,
  folder,
  isOurs,
  type Manifest,
  readManifest,
  released,
  type Workload,
  workloads,
} from './manifest.ts'
import type { Container, Pod, Volume } from './types.ts'

/** What a manifest does wrong, in words; nothing when it is right. */
export type Rule = (manifest: Manifest) => string[] | Promise<string[]>

const root = join(folder, '..')
const ours = `${released.config.image}:${released.version}`
const secrets = ['', 'components/postgres/'].flatMap((place) => readManifest(`${place}secret.yaml.template`).objects)

const problems = (...checks: [wrong: boolean, what: string][]) =>
  checks.flatMap(([wrong, what]) => (wrong ? [what] : []))

const perPod = (rule: (workload: Workload, manifest: Manifest) => string[]): Rule => {
  return (manifest) => workloads(manifest).flatMap((workload) => rule(workload, manifest))
}

const perContainer = (rule: (container: Container, workload: Workload) => string[]): Rule =>
  perPod((workload) =>
    containersOf(workload.pod).flatMap((one) => rule(one, workload).map((what) => `${one.name}: ${what}`)),
  )

const perCommand = (rule: (ours: Ours, workload: Workload) => string[]): Rule => {
  return async (manifest) => {
    const found: string[] = []
    for (const workload of workloads(manifest))
      for (const container of containersOf(workload.pod).filter(isOurs)) {
        const ours = await read(container, workload, manifest)
        const said = 'wrong' in ours ? [] : rule(ours, workload)
        found.push(...said.map((what) => `${container.name}: ${what}`))
      }
    return found
  }
}

/** A container of ours with what the program itself makes of its arguments, its variables and its configuration file. */
type Ours = { container: Container; command: Command; env: Env; config: Config }

async function read(container: Container, workload: Workload, manifest: Manifest): Promise<Ours | { wrong: string }> {
  try {
    const { name, args, rest } = findCommand(container.args ?? [], commandNames)
    const command = await commands[name!]!.load()
    parseFlags(command, args, rest)
    const env: Env = Object.fromEntries((container.env ?? []).map((one) => [one.name, one.value]))
    return { container, command, env, config: await configOf(env, container, workload, manifest) }
  } catch (error) {
    return { wrong: (error as Error).message }
  }
}

async function configOf(env: Env, { volumeMounts = [] }: Container, { pod }: Workload, manifest: Manifest) {
  const { PGBOSUN_CONFIG: place, ...rest } = env
  const dir = await mkdtemp(join(tmpdir(), 'pgbosun-k8s-'))
  try {
    if (place === undefined) return (await loadConfig({ env: rest, cwd: dir })).config
    const mount = volumeMounts.find(({ mountPath }) => place.startsWith(`${mountPath}/`))
    const source = pod.volumes?.find(({ name }) => name === mount?.name)?.configMap?.name
    const map = manifest.objects.find((object) => object.kind === 'ConfigMap' && object.metadata.name === source)
    const text = map?.kind === 'ConfigMap' ? map.data[place.slice(mount!.mountPath.length + 1)] : undefined
    if (text === undefined) throw new Error(`there is no ${place}`)
    await writeFile(join(dir, 'pgbosun.yaml'), text)
    return (await loadConfig({ env: rest, cwd: dir })).config
  } finally {
    await rm(dir, { recursive: true })
  }
}

/** The program takes the arguments, the variables and the configuration. */
const commandLine: Rule = async (manifest) => {
  const found = workloads(manifest).flatMap((workload) =>
    containersOf(workload.pod)
      .filter(isOurs)
      .map((container) => read(container, workload, manifest)),
  )
  return (await Promise.all(found)).flatMap((one) => ('wrong' in one ? [one.wrong] : []))
}

/** The Pod Security Standard `restricted`; what it forbids beside this has no type in types.ts. */
const restricted = perContainer(({ securityContext: own = {} }, { pod: { securityContext: all = {} } }) =>
  problems(
    [(own.runAsNonRoot ?? all.runAsNonRoot) !== true, 'may run as root'],
    [own.runAsUser === 0, 'runs as root'],
    [own.allowPrivilegeEscalation !== false, 'may gain privileges'],
    [own.capabilities?.drop?.join() !== 'ALL' || own.capabilities.add !== undefined, 'has capabilities'],
    [all.seccompProfile?.type !== 'RuntimeDefault', 'has no seccomp profile'],
    [own.readOnlyRootFilesystem !== true, 'can write to its root'],
  ),
)

const noAccess = perPod(({ pod, object }) =>
  problems(
    [pod.automountServiceAccountToken !== false, `${object.kind}: its pods get a token of the API`],
    [pod.enableServiceLinks !== false, `${object.kind}: its pods get variables of Services`],
  ),
)

const bytes = (quantity = '0') => Number.parseInt(quantity, 10) * (quantity.endsWith('Gi') ? 1024 : 1)

const resources = perContainer((container) => {
  const { requests = {}, limits = {} } = container.resources ?? {}
  return problems(
    [requests.cpu === undefined || requests.memory === undefined, 'requests no CPU or no memory'],
    [limits.memory === undefined, 'has no limit of memory'],
    [limits.cpu !== undefined, 'has a limit of CPU'],
    [bytes(requests.memory) > bytes(limits.memory), 'requests more memory than its limit'],
    [isOurs(container) && `${requests.memory} ${limits.memory}` !== '64Mi 128Mi', 'needs 64Mi to 128Mi'],
  )
})

const image = perContainer((container) =>
  problems(
    [!/(:\d+\.\d+\.\d+|\/postgres:\d+-\w+)$/.test(container.image), `${container.image} is no version`],
    [isOurs(container) && container.image !== ours, `${container.image} is not ${ours}`],
    [
      isOurs(container) &&
        `${container.securityContext?.runAsUser}:${container.securityContext?.runAsGroup}` !== '65532:65532',
      'does not run as the user of the image',
    ],
    [
      isOurs(container) && container.terminationMessagePolicy !== 'FallbackToLogsOnError',
      'does not say why it ended when it could not write that down',
    ],
  ),
)

const unique = perPod(({ pod, object }) => {
  const names = [containersOf(pod), pod.volumes ?? []].map((list) => list.map(({ name }) => name))
  return problems([names.some((list) => new Set(list).size < list.length), `${object.kind}: a name stands twice`])
})

/** Where it ends: what a Service, a policy or a role is bound to is there. */
const bound: Rule = (manifest) => {
  const { objects } = manifest
  const pods = workloads(manifest).map(({ labels }) => labels)
  const some = (wanted: Record<string, string> = {}) => pods.some((labels) => selects(wanted, labels))
  const names = new Set(objects.flatMap(({ kind, metadata }) => (kind === 'ServiceAccount' ? [metadata.name] : [])))
  return objects.flatMap((object) => {
    if (object.kind === 'NetworkPolicy')
      return problems([!some(object.spec.podSelector.matchLabels), `${object.metadata.name} is for no pod`])
    if (object.kind === 'Service') {
      const { selector, ports } = object.spec
      const served = workloads(manifest).filter(({ labels }) => selects(selector, labels))
      const offered = served.flatMap(({ pod }) => containersOf(pod).flatMap(({ ports = [] }) => ports))
      const known = offered.flatMap(({ name, containerPort }) => [name, containerPort])
      return problems([
        ports.some(({ targetPort }) => !known.includes(targetPort)),
        `${object.metadata.name} leads to no port`,
      ])
    }
    const account = workloads({ ...manifest, objects: [object] })[0]?.pod.serviceAccountName
    return problems([account !== undefined && !names.has(account), `there is no account ${account}`])
  })
}

const selects = (wanted: Record<string, string>, labels: Record<string, string>) =>
  Object.entries(wanted).every(([key, value]) => labels[key] === value)

const probesOfServe = ['startupProbe', 'livenessProbe', 'readinessProbe'] as const
const pathsOfServe = { startupProbe: '/startupz', livenessProbe: '/livez', readinessProbe: '/readyz' }

/** What stays has all three, at the endpoints of `serve`; what ends has none. */
const probes = perContainer((container, { pod }) => {
  const stays = container.restartPolicy === 'Always' || pod.containers.some((one) => one === container)
  const ports = (container.ports ?? []).flatMap(({ name, containerPort }) => [name, containerPort])
  return probesOfServe.flatMap((kind) => {
    const probe = container[kind]
    if (!probe) return problems([container.restartPolicy === 'Always', `has no ${kind}`])
    if (!probe.httpGet)
      return problems([isOurs(container) || probe.exec === undefined, `${kind} asks nothing of serve`])
    const { path, port } = probe.httpGet
    return problems(
      [!stays, `${kind} of what is not to stay`],
      [!ports.includes(port), `${kind} asks port ${port}, which is not declared`],
      [isOurs(container) && path !== pathsOfServe[kind], `${kind} asks ${path}`],
    )
  })
})

const served = perCommand(({ container, command, config }) => {
  if (command.name !== 'serve') return problems([container.restartPolicy === 'Always', `${command.name} does not stay`])
  const { periodSeconds = 10, failureThreshold = 3 } = container.startupProbe ?? {}
  const listens = Number(/\d+$/.exec(config.serve.listen)?.[0])
  return problems(
    [container.ports?.some(({ containerPort }) => containerPort === listens) !== true, `listens on ${listens}`],
    [probesOfServe.some((kind) => container[kind]?.httpGet?.port !== listens), `is not asked on port ${listens}`],
    [periodSeconds * failureThreshold * 1000 <= patience(config), 'startupProbe ends it while it waits'],
    [config.serve.access === 'open', 'shows its status to everybody'],
  )
})

/** How long a run may wait before it says so. */
const patience = ({ wait, lock }: Config) => wait.timeout + lock.timeout

const sourceOf = ({ secret, configMap, persistentVolumeClaim }: Volume) =>
  secret?.secretName ?? configMap?.name ?? persistentVolumeClaim?.claimName

/** Every volume is mounted and every mount has a volume. */
const mounts = perPod(({ pod, object }) => {
  const claimed = object.kind === 'StatefulSet' ? object.spec.volumeClaimTemplates : []
  const volumes = new Set([
    ...(pod.volumes ?? []).map(({ name }) => name),
    ...claimed.map(({ metadata }) => metadata.name),
  ])
  const mounted = containersOf(pod).flatMap(({ volumeMounts = [] }) => volumeMounts.map(({ name }) => name))
  return [
    ...mounted.filter((name) => !volumes.has(name)).map((name) => `${object.kind}: there is no volume ${name}`),
    ...[...volumes].filter((name) => !mounted.includes(name)).map((name) => `${object.kind}: nobody mounts ${name}`),
  ]
})

/** What is mounted is in the file, or in the template of the Secrets, or is made by a command at the top, or is in a file named there. */
const sources = perPod(({ pod, object }, manifest) => {
  const namespace = object.metadata.namespace
  return (pod.volumes ?? []).flatMap((volume) => {
    const kinds = ['configMap', 'secret', 'emptyDir', 'persistentVolumeClaim'] as const
    const source = sourceOf(volume)
    return problems(
      [kinds.filter((kind) => volume[kind]).length !== 1, `${volume.name} is not one volume`],
      [source !== undefined && !isMade(volume, source, namespace, manifest), `nobody makes ${source}`],
      [volume.secret !== undefined && !isReadable(volume, pod), `${volume.name} cannot be read, or by everybody`],
    )
  })
})

/** In the image of postgres. */
const groupOfPostgres = 999

/** `kubectl create secret generic` at the top of a file makes it, with this key. */
const isCreated = (source: string, key: string, { text }: Manifest) =>
  new RegExp(`^#   kubectl create secret generic ${source} .*--from-file=${key}\\b`, 'm').test(text)

function isMade({ secret, configMap }: Volume, source: string, namespace: string | undefined, manifest: Manifest) {
  if (secret)
    return (
      secret.items.every(({ key }) => secretKeys(source).includes(key) || isCreated(source, key, manifest)) &&
      manifest.text.includes('secret.yaml.template')
    )
  const kind = configMap ? 'ConfigMap' : 'PersistentVolumeClaim'
  const at = namespace === undefined ? '' : ` --namespace ${namespace}`
  if (manifest.text.includes(`\n#   kubectl create ${kind.toLowerCase()} ${source}${at} --from-file=migrations/\n`))
    return true
  const others = [...manifest.text.matchAll(/^#.*$/gm)].flatMap(([line]) => line.match(/[\w-]+\.yaml(?!\.)\b/g) ?? [])
  const files =
    kind === 'ConfigMap'
      ? []
      : others.filter((file) => file !== manifest.file && existsSync(join(folder, file))).map(readManifest)
  return [manifest, ...files].some(({ objects }) =>
    objects.some(({ kind: k, metadata }) => k === kind && metadata.name === source && metadata.namespace === namespace),
  )
}

function secretKeys(name: string): string[] {
  const found = secrets.find(({ metadata }) => metadata.name === name)
  return found?.kind === 'Secret' ? Object.keys(found.stringData) : []
}

const isReadable = ({ secret }: Volume, { securityContext }: Pod) =>
  secret?.defaultMode === 0o440 && [65_532, groupOfPostgres].includes(securityContext?.fsGroup ?? 0)

/** Every path that a container of ours is given leads into a mount. */
const paths = perCommand(({ container, command, env, config }, { pod }) => {
  const variables = Object.entries(env).filter(([name]) => name.endsWith('_FILE'))
  const files = [...variables.map(([, path = '']) => path), ...filesIn(config)]
  const writes = ['serve', 'backup run', 'backup prune', 'restore'].includes(command.name)
  return [
    ...files.filter((path) => !isMounted(path, container, pod)).map((path) => `there is no ${path}`),
    ...problems(
      [
        ['up', 'serve'].includes(command.name) && [config.migrate.dir].flat().some((dir) => !mountOf(dir, container)),
        'has no migrations',
      ],
      [
        writes && mountOf(config.backup.store.slice('file://'.length), container)?.readOnly !== undefined,
        'cannot write backups',
      ],
      [writes && !mountOf(config.backup.store.slice('file://'.length), container), 'has no place for backups'],
      [command.name !== 'migrate wait-for' && !mountOf('/tmp', container), 'has no /tmp'],
      [variables.length === 0 && files.length === 0, 'has no connection'],
    ),
  ]
})

/** Every `{ file: PATH }` of a configuration. */
function filesIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  if ('file' in value && typeof value.file === 'string') return [value.file]
  return Object.values(value).flatMap(filesIn)
}

const mountOf = (path: string, { volumeMounts = [] }: Container) =>
  volumeMounts.find(({ mountPath }) => path === mountPath || path.startsWith(`${mountPath}/`))

function isMounted(path: string, container: Container, { volumes = [] }: Pod): boolean {
  const mount = mountOf(path, container)
  const volume = volumes.find(({ name }) => name === mount?.name)
  if (volume?.configMap) return true // a folder of seeds
  return volume?.secret?.items.some((item) => `${mount?.mountPath}/${item.path}` === path) === true
}

/** Variables that say where the database is; `PGBOSUN_*` are known to the program, which refuses others. */
const connectionVariable =
  /^(PGBOSUN_\w+|DATABASE_URL(_FILE)?|PG(HOST|PORT|DATABASE|USER|PASSWORD(_FILE)?)|POSTGRES_(HOST|PORT|DB|USER|PASSWORD_FILE))$/

const variables = perCommand(({ env }) =>
  Object.keys(env)
    .filter((name) => !connectionVariable.test(name))
    .map((name) => `nobody reads ${name}`),
)

/** A secret that is not synced yet, a rotation and a swap are waited for. */
const patient = perCommand(({ command, config }) =>
  problems([command.name !== 'backup prune' && !config.wait.patient, `${command.name} gives up on a password at once`]),
)

/** What docs/exit-codes.md says another run cannot heal; 12 is worth one here, where secrets and passwords are still on their way. */
const final = [...readFileSync(join(root, 'docs', 'exit-codes.md'), 'utf8').matchAll(/^\| \d+ \| `(\w+)` \| no \|/gm)]
  .map(([, kind]) => kind as Kind)
  .filter((kind) => kind !== 'refused')

/** A Job gives up on exactly the codes that its containers can end with and that are final. */
const exits = perCommand(({ container, command }, { job }) => {
  if (!job) return []
  const [ignored, ...rules] = job.podFailurePolicy?.rules ?? []
  const given = rules.flatMap((rule) =>
    rule.action === 'FailJob' && rule.onExitCodes.containerName === container.name ? rule.onExitCodes.values : [],
  )
  const can = ['usage', ...Object.keys(exitsOf(command))]
  const wanted = final.filter((kind) => can.includes(kind)).map((kind) => exitCodes[kind])
  return problems(
    [ignored?.action !== 'Ignore', 'a drained node is a failure'],
    [given.join() !== wanted.join(), `gives up on ${given.join(', ')}, and not on ${wanted.join(', ')}`],
  )
})

const policy = perPod(({ job, pod }) => {
  const names = containersOf(pod).map(({ name }) => name)
  return (job?.podFailurePolicy?.rules ?? []).flatMap((rule) =>
    rule.action === 'FailJob' && !names.includes(rule.onExitCodes.containerName)
      ? [`there is no container ${rule.onExitCodes.containerName}`]
      : [],
  )
})

const week = 7 * 24 * 3600

/** A Job has an end, comes to it only after every try, and stays long enough for its log to be read. */
const jobs = perCommand(({ config, command }, { job, pod, object }) => {
  if (!job) return []
  const { backoffLimit = 6, activeDeadlineSeconds = 0, ttlSecondsAfterFinished, podReplacementPolicy } = job
  const long = command.name === 'backup run' ? config.backup.timeout : 0
  return problems(
    [pod.restartPolicy !== 'Never', 'podFailurePolicy needs restartPolicy: Never'],
    [backoffLimit > 3, 'is tried again and again'],
    [activeDeadlineSeconds * 1000 < (backoffLimit + 1) * patience(config) + long, 'is ended before its last try'],
    [podReplacementPolicy !== 'Failed', 'may run twice'],
    [ttlSecondsAfterFinished !== undefined && ttlSecondsAfterFinished < week, 'takes its log with it'],
    [object.kind === 'CronJob' && activeDeadlineSeconds >= 24 * 3600, 'keeps the next one from starting'],
  )
})

const cronJobs: Rule = ({ objects }) =>
  objects.flatMap((object) => {
    if (object.kind !== 'CronJob') return []
    const { schedule, timeZone, concurrencyPolicy, startingDeadlineSeconds } = object.spec
    return problems(
      [typeof parseCron(schedule) === 'string', `${schedule} is no schedule`],
      [!isTimeZone(timeZone), `${timeZone} is no time zone`],
      [concurrencyPolicy !== 'Forbid', 'two may run at once'],
      [startingDeadlineSeconds === undefined, 'a night that was missed is made up for whenever'],
    )
  })

function isTimeZone(zone: string | undefined): boolean {
  try {
    return zone !== undefined && new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}

const deployments = perPod(({ object, pod, labels }) => {
  if (object.kind === 'StatefulSet')
    return problems([!selects(object.spec.selector.matchLabels, labels), 'does not select its pods'])
  if (object.kind !== 'Deployment') return []
  const { replicas, strategy, selector } = object.spec
  const claims = (pod.volumes ?? []).some(({ persistentVolumeClaim }) => persistentVolumeClaim)
  return problems(
    [!selects(selector.matchLabels, labels), 'does not select its pods'],
    [claims && (replicas !== 1 || strategy?.type !== 'Recreate'), 'two pods would wait for one volume'],
    [claims && pod.securityContext?.fsGroupChangePolicy !== 'OnRootMismatch', 'changes every backup at each start'],
    [(pod.terminationGracePeriodSeconds ?? 30) < 30, 'leaves no time to stop'],
  )
})

const rollout = perCommand(({ config, command }, { object }) => {
  if (object.kind !== 'Deployment') return []
  const { progressDeadlineSeconds = 600 } = object.spec
  const waits = command.name === 'migrate wait-for' ? config.wait.timeout : patience(config)
  return problems([progressDeadlineSeconds * 1000 <= waits, 'the rollout counts as failed while it waits'])
})

/** Nobody but containers of ours gets a Secret beside the application's. */
const kept = perContainer((container, { pod: { volumes = [] } }) => {
  const mounted = (container.volumeMounts ?? []).map(({ name }) => volumes.find((volume) => volume.name === name))
  const names = mounted.flatMap((volume) => volume?.secret?.secretName ?? [])
  const may = (name: string) => name === 'shop-app' || (container.name === 'postgres' && name.startsWith('postgres'))
  return problems([!isOurs(container) && !names.every(may), `sees ${names.join(', ')}`])
})

export const rules: Record<string, Rule> = {
  commandLine,
  restricted,
  noAccess,
  resources,
  image,
  unique,
  bound,
  probes,
  served,
  mounts,
  sources,
  paths,
  variables,
  patient,
  exits,
  policy,
  jobs,
  cronJobs,
  deployments,
  rollout,
  kept,
}

/** Everything that is wrong with a manifest. */
export async function check(manifest: Manifest): Promise<string[]> {
  const found = await Promise.all(
    Object.entries(rules).map(async ([name, rule]) => (await rule(manifest)).map((what) => `${name}: ${what}`)),
  )
  return found.flat()
}
