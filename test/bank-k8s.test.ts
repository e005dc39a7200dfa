import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import * as z from 'zod'
import { containersOf, type Manifest, ofKind, parseManifest, workloads } from './support/k8s/manifest.ts'
import { rules } from './support/k8s/rules.ts'

const example = join(import.meta.dirname, '..', 'examples', 'bank')
const folder = join(example, 'k8s')
const read = (file: string) => readFileSync(join(folder, file), 'utf8')

/** The objects that only this example has; everything else is in support/k8s/types.ts. */
const named = z.strictObject({
  name: z.string(),
  namespace: z.literal('neobank'),
  labels: z.record(z.string(), z.string()),
})
const selected = z.strictObject({ matchLabels: z.record(z.string(), z.string()) })
const port = z.union([z.int(), z.string()])
const others = z.discriminatedUnion('kind', [
  z.strictObject({
    apiVersion: z.literal('v1'),
    kind: z.literal('Namespace'),
    metadata: z.strictObject({ name: z.literal('neobank'), labels: z.record(z.string(), z.string()) }),
  }),
  z.strictObject({
    apiVersion: z.literal('v1'),
    kind: z.literal('Service'),
    metadata: named,
    spec: z.strictObject({
      type: z.literal('ClusterIP'),
      selector: z.record(z.string(), z.string()),
      ports: z.array(z.strictObject({ name: z.string(), port: z.int(), targetPort: port })).length(1),
    }),
  }),
  z.strictObject({
    apiVersion: z.literal('networking.k8s.io/v1'),
    kind: z.literal('NetworkPolicy'),
    metadata: named,
    spec: z.strictObject({
      podSelector: selected,
      policyTypes: z.tuple([z.literal('Ingress'), z.literal('Egress')]),
      ingress: z
        .array(
          z.strictObject({
            from: z.array(z.strictObject({ podSelector: selected })).min(1),
            ports: z.array(z.strictObject({ protocol: z.literal('TCP'), port: z.int() })),
          }),
        )
        .length(1),
    }),
  }),
  z.strictObject({
    apiVersion: z.literal('networking.k8s.io/v1'),
    kind: z.literal('Ingress'),
    metadata: named,
    spec: z.strictObject({
      tls: z.array(z.strictObject({ hosts: z.array(z.string()), secretName: z.string() })).length(1),
      rules: z
        .array(
          z.strictObject({
            host: z.string(),
            http: z.strictObject({
              paths: z.array(
                z.strictObject({
                  path: z.string(),
                  pathType: z.literal('Prefix'),
                  backend: z.strictObject({
                    service: z.strictObject({ name: z.string(), port: z.strictObject({ name: z.string() }) }),
                  }),
                }),
              ),
            }),
          }),
        )
        .length(1),
    }),
  }),
])
type Other = z.output<typeof others>
const otherKinds = ['Namespace', 'Service', 'NetworkPolicy', 'Ingress']
/** The probes of the server, which has no HTTP. */
const execProbe = /^ +(startup|liveness|readiness)Probe: \{ exec: \{ command: (\[pg_isready, .*?\]) \}.*\n/gm

const files = readdirSync(folder).filter((file) => file.endsWith('.yaml'))
const manifests = files.map(readParts)
const all: Manifest = { file: '', text: '', objects: manifests.flatMap(({ manifest }) => manifest.objects) }
const beside = manifests.flatMap((one) => one.others)
const secrets = parseManifest('secret.yaml', read('secret.yaml.template')).objects

function readParts(file: string): { manifest: Manifest; others: Other[] } {
  const text = read(file)
  const parts = text.replaceAll(execProbe, '').split(/^---\n/m)
  const isOther = (part: string) => otherKinds.includes((parse(part) as { kind: string }).kind)
  const ours = parts.filter((part) => !isOther(part))
  return {
    manifest: ours.length > 0 ? parseManifest(file, ours.join('---\n')) : { file, text, objects: [] },
    others: parts.filter(isOther).map((part) => others.parse(parse(part))),
  }
}

/** What k8s/ holds besides: names of its own Secrets and images; looked at below. */
const elsewhere = ['image', 'sources', 'kept', 'bound']
const kept = Object.entries(rules).filter(([name]) => !elsewhere.includes(name))

describe('examples/bank/k8s', () => {
  test('keeps to the rules of k8s/, but for the Job that its facts let go after five minutes', async () => {
    const found: string[] = []
    for (const { manifest } of manifests)
      for (const [name, rule] of kept) found.push(...(await rule(manifest)).map((what) => `${name}: ${what}`))
    expect(found).toEqual(['jobs: up: takes its log with it'])
    expect(ofKind(all, 'Job').spec.ttlSecondsAfterFinished).toBe(300)
  })

  test('has the objects with their names, all in one namespace', () => {
    const names = [...all.objects, ...beside, ...secrets].map(({ kind, metadata }) => `${kind} ${metadata.name}`)
    for (const name of [
      ...['Namespace neobank', 'ConfigMap postgres-config', 'Secret neobank-secret', 'Secret postgres-secret'],
      ...['PersistentVolumeClaim postgres-data', 'Deployment postgres', 'Service postgres', 'Job db-init-job'],
      ...['Deployment neobank', 'Service neobank', 'Ingress neobank', 'NetworkPolicy postgres'],
    ])
      expect(names).toContain(name)
    for (const { metadata } of [...all.objects, ...secrets]) expect(metadata.namespace).toBe('neobank')
    expect(ofKind(all, 'PersistentVolumeClaim').spec.resources.requests.storage).toBe('10Gi')
    const replicas = workloads(all).map(({ object }) => (object.kind === 'Deployment' ? object.spec.replicas : 0))
    expect(replicas.toSorted()).toEqual([0, 1, 2])
  })

  test('asks the server over TCP, which does not answer while it is being made, three times', () => {
    const probes = [...read('postgres.yaml').matchAll(execProbe)]
    expect(probes.map(([, kind]) => kind)).toEqual(['startup', 'liveness', 'readiness'])
    for (const [, , command] of probes)
      expect(parse(command!)).toEqual(['pg_isready', '-h', '127.0.0.1', '-U', 'postgres'])
  })

  test('mounts only what is made, and gives each pod only its own Secret', () => {
    const made = [...all.objects, ...secrets].map(({ kind, metadata }) => `${kind} ${metadata.name}`)
    const commands = files.map(read).join('')
    for (const [, name] of commands.matchAll(
      /^# {3}kubectl create configmap (\S+) --namespace neobank --from-file=\S+$/gm,
    ))
      made.push(`ConfigMap ${name}`)
    const used = workloads(all).map(({ pod, object }) => {
      const volumes = pod.volumes ?? []
      for (const { configMap, persistentVolumeClaim: claim } of volumes) {
        if (configMap) expect(made).toContain(`ConfigMap ${configMap.name}`)
        if (claim) expect(made).toContain(`PersistentVolumeClaim ${claim.claimName}`)
      }
      const names = volumes.flatMap(({ secret }) => {
        if (!secret) return []
        const found = secrets.find(({ metadata }) => metadata.name === secret.secretName)
        const keys = found?.kind === 'Secret' ? Object.keys(found.stringData) : []
        for (const { key } of secret.items) expect(keys, secret.secretName).toContain(key)
        return [secret.secretName]
      })
      return [object.metadata.name, [...new Set(names)]]
    })
    expect(Object.fromEntries(used)).toEqual({
      postgres: ['postgres-secret'],
      'db-init-job': ['postgres-secret', 'neobank-secret'],
      neobank: ['neobank-secret'],
    })
  })

  test('has no secret in a ConfigMap, and no line that trusts', () => {
    for (const object of all.objects)
      if (object.kind === 'ConfigMap')
        for (const text of Object.values(object.data)) {
          expect(text).not.toMatch(/PRIVATE KEY|postgres:\/\/|password: [^{]/)
          expect(text).not.toMatch(/\btrust$/m)
        }
  })

  test('leads its Services, policy and Ingress to pods and ports that exist', () => {
    const pods = workloads(all)
    const podsOf = (wanted: Record<string, string>) =>
      pods.filter(({ labels }) => Object.entries(wanted).every(([key, value]) => labels[key] === value))
    for (const object of beside) {
      if (object.kind === 'Service') {
        const [found] = podsOf(object.spec.selector)
        const ports = containersOf(found!.pod).flatMap((one) => one.ports ?? [])
        expect(ports.flatMap(({ name, containerPort }) => [name, containerPort])).toContain(
          object.spec.ports[0]!.targetPort,
        )
      }
      if (object.kind === 'NetworkPolicy') {
        expect(podsOf(object.spec.podSelector.matchLabels)).toHaveLength(1)
        const peers = object.spec.ingress[0]!.from.flatMap((one) => podsOf(one.podSelector.matchLabels))
        expect(peers.map((one) => one.object.metadata.name).toSorted()).toEqual(['db-init-job', 'neobank'])
      }
      if (object.kind === 'Ingress')
        for (const { backend } of object.spec.rules[0]!.http.paths)
          expect(
            beside.some(({ kind, metadata }) => kind === 'Service' && metadata.name === backend.service.name),
          ).toBe(true)
    }
  })

  test('says the same as the files that Compose uses', () => {
    const lines = (text: string) => text.split('\n').filter((line) => line && !line.startsWith('#'))
    const config = all.objects.find(({ metadata }) => metadata.name === 'postgres-config')
    expect(config?.kind === 'ConfigMap' && lines(config.data['pg_hba.conf']!)).toEqual(
      lines(readFileSync(join(example, 'pg_hba.conf'), 'utf8')),
    )
    const newest = readdirSync(join(example, 'migrations')).toSorted().at(-1)!
    const [waits] = workloads(all).find(({ object }) => object.metadata.name === 'neobank')!.pod.initContainers!
    expect(newest.startsWith(`${waits!.args![2]}_`)).toBe(true)
  })

  const missing = ['envsubst', 'openssl', 'awk'].filter((name) => spawnSync('sh', ['-c', `command -v ${name}`]).status)
  if (missing.length > 0) console.warn(`NOT RUN: the commands of examples/bank/k8s/secret.yaml.template: no ${missing}`)

  test.runIf(missing.length === 0)('fills its Secrets by the commands at the top of the template', () => {
    const dir = mkdtempSync(join(tmpdir(), 'pgbosun-bank-'))
    try {
      cpSync(example, dir, { recursive: true, filter: (path) => !/\/secrets$/.test(path) })
      execFileSync(join(dir, 'secrets.sh'))
      const commands = read('secret.yaml.template')
        .match(/^# {3}(?! ).*$/gm)!
        .map((line) => line.slice(4))
      const script = commands.join('\n').replace('kubectl apply -f -', 'cat')
      const filled = execFileSync('bash', ['-euc', script], { cwd: dir, encoding: 'utf8' })
      const [server, app] = parseAllDocuments(filled).map((one) => one.toJS().stringData as Record<string, string>)
      const secret = (name: string) => readFileSync(join(dir, 'secrets', name), 'utf8')
      expect(server).toEqual({
        password: secret('postgres').trim(),
        'ca.crt': secret('ca.crt'),
        'server.crt': secret('server.crt'),
        'server.key': secret('server.key'),
      })
      const password = secret('neobank_app').trim()
      expect(app).toEqual({
        DATABASE_URL: `postgres://neobank_app:${password}@postgres/neobank`,
        password,
        'ca.crt': secret('ca.crt'),
      })
    } finally {
      rmSync(dir, { recursive: true })
    }
  })
})
