import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { componentFiles, components } from './support/k8s/components.ts'
import { parseDeployer } from './support/k8s/deployers.ts'
import { build, kustomize } from './support/k8s/kustomize.ts'
import { folder, type Manifest, ofKind, readManifest } from './support/k8s/manifest.ts'
import { check } from './support/k8s/rules.ts'
import type { KubernetesObject } from './support/k8s/types.ts'

const root = join(folder, '..')

test('k8s/components/ has the objects and the configurations of k8s/*.yaml', () => {
  for (const [path, text] of Object.entries(componentFiles()))
    expect(readFileSync(join(root, path), 'utf8'), `${path}: npm run docs`).toBe(text)
})

test('every component is part of an overlay', () => {
  const used = globSync('overlays/*/kustomization.yaml', { cwd: folder }).flatMap((file) =>
    [...readFileSync(join(folder, file), 'utf8').matchAll(/components\/([\w-]+)/g)].map(([, name]) => name),
  )
  const all = globSync('components/*/kustomization.yaml', { cwd: folder }).map((file) => basename(dirname(file)))
  expect(all.filter((name) => !used.includes(name))).toEqual([])
})

if (!kustomize) console.warn('NOT RUN: what kustomize makes of k8s/: there is neither kubectl nor kustomize')

/** Not `monitoring`: its alerts are of a kind that the Prometheus Operator brings. */
const overlays = globSync('overlays/*/kustomization.yaml', { cwd: folder })
  .map((file) => basename(dirname(file)))
  .filter((overlay) => overlay !== 'monitoring')

describe.runIf(kustomize)('kustomize', () => {
  test.each(
    overlays,
  )('makes of overlay %s only what Kubernetes knows, and what keeps to every rule', async (overlay) => {
    expect(await check(build(`overlays/${overlay}`))).toEqual([])
  })

  test.each(Object.entries(components))('makes of overlay %s the objects of k8s/%s', (overlay, file) => {
    const kinds = readManifest(file).objects.map(({ kind }) => kind)
    const built = plain(build(`overlays/${overlay}`).objects.filter(({ kind }) => kinds.includes(kind)))
    expect(built).toEqual(plain(readManifest(file).objects))
  })

  test('names a configuration by its content, so that a changed one makes new pods', () => {
    const copy = mkdtempSync(join(tmpdir(), 'pgbosun-kustomize-'))
    try {
      cpSync(folder, copy, { recursive: true })
      const file = join(copy, 'components', 'init-container', 'pgbosun.yaml')
      writeFileSync(file, `${readFileSync(file, 'utf8')}# changed\n`)
      const volumes = (manifest: Manifest) => ofKind(manifest, 'Deployment').spec.template.spec.volumes
      const name = (manifest: Manifest) => volumes(manifest)?.find(({ name }) => name === 'config')?.configMap?.name
      const names = [folder, copy].map((one) => name(build('overlays/init-container', one)))
      expect(names[0]).toMatch(/^shop-pgbosun-\w{10}$/)
      expect(names[1]).toMatch(/^shop-pgbosun-\w{10}$/)
      expect(names[1]).not.toBe(names[0])
    } finally {
      rmSync(copy, { recursive: true })
    }
  })

  test('makes of overlay monitoring the alerts, the dashboards and the exporter of k8s/monitoring', () => {
    const [program = '', ...args] = kustomize!
    const text = execFileSync(program, [...args, join(folder, 'overlays', 'monitoring')], { encoding: 'utf8' })
    const objects = parseAllDocuments(text).map((one) => one.toJS()) as {
      kind: string
      data?: Record<string, string>
    }[]
    expect(objects.map(({ kind }) => kind).toSorted()).toEqual([
      'ConfigMap',
      'Deployment',
      'PrometheusRule',
      'Service',
      'ServiceMonitor',
    ])
    const dashboards = objects.find(({ kind }) => kind === 'ConfigMap')!.data!
    expect(Object.keys(dashboards).toSorted()).toEqual(['dashboard.json', 'postgres-dashboard.json'])
    for (const dashboard of Object.values(dashboards)) expect(JSON.parse(dashboard)).toHaveProperty('panels')
  })

  test('gives a platform’s people no Secret to read, and a team nothing that makes pods beside the Secrets', () => {
    const { objects } = build('overlays/platform')
    const roles = objects.filter((object) => object.kind === 'Role')
    const bound = objects.flatMap((object) =>
      object.kind === 'RoleBinding' ? [`${object.metadata.namespace}/${object.roleRef.name}`] : [],
    )
    expect(roles.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`).toSorted()).toEqual(bound.toSorted())
    const may = (role: string, verb: string) =>
      roles
        .filter(({ metadata }) => metadata.name === role)
        .flatMap(({ rules }) =>
          rules.flatMap(({ verbs, resources }) => (verbs.some((v) => v === verb) ? resources : [])),
        )
    for (const role of ['platform', 'watchers', 'developers'])
      for (const verb of ['get', 'list', 'watch']) expect(may(role, verb)).not.toContain('secrets')
    for (const verb of ['create', 'update', 'patch', 'delete']) expect(may('watchers', verb)).toEqual([])
    const namespaces = objects.filter(({ kind }) => kind === 'Namespace')
    expect(namespaces.map(({ metadata }) => metadata.labels?.['pod-security.kubernetes.io/enforce'])).toEqual([
      'restricted',
      'restricted',
    ])
  })

  test('makes of the example a release with its own names, image and migrations', () => {
    const { objects, ...rest } = build('../examples/kustomize')
    const job = ofKind({ objects, ...rest }, 'Job')
    const migrations = objects.find(({ metadata }) => metadata.name.startsWith('shop-migrations-1-'))
    expect(job.metadata).toMatchObject({ name: 'shop-up-7', namespace: 'shop' })
    expect(job.spec.template.spec.containers[0]?.image).toBe('registry.example.com/pgbosun:0.1.0')
    expect(job.spec.template.spec.volumes).toContainEqual({
      name: 'migrations',
      configMap: { name: migrations!.metadata.name },
    })
  })
})

describe.runIf(kustomize)('Argo CD', () => {
  test('runs `up` after what it reads and before the application, as a hook without an end of its own', () => {
    const { objects } = build('../examples/argo-cd')
    const wave = ({ metadata }: KubernetesObject) => Number(metadata.annotations?.['argocd.argoproj.io/sync-wave'] ?? 0)
    const waves = (...kinds: string[]) => new Set(objects.filter(({ kind }) => kinds.includes(kind)).map(wave))
    expect(waves('ConfigMap', 'ServiceAccount')).toEqual(new Set([-2]))
    expect(waves('Job')).toEqual(new Set([-1]))
    expect(waves('Deployment')).toEqual(new Set([0]))
    const waiting = objects.find((object) => object.kind === 'Deployment')!.spec.template.spec.initContainers![0]!
    const files = globSync('examples/kustomize/migrations/*.sql', { cwd: root }).map((file) => basename(file))
    expect(waiting.args?.slice(0, 3)).toEqual(['migrate', 'wait-for', files.toSorted().at(-1)!.split('_')[0]])
    const job = objects.find((object) => object.kind === 'Job')!
    expect(job.metadata.annotations).toMatchObject({ 'argocd.argoproj.io/hook': 'Sync' })
    expect(job.spec).not.toHaveProperty('ttlSecondsAfterFinished')
  })
})

test('the objects of Argo CD and Flux have the fields that these know, and lead to folders that exist', () => {
  for (const file of globSync('examples/{argo-cd/application,flux/*}.yaml', { cwd: root })) {
    const objects = parseDeployer(readFileSync(join(root, file), 'utf8'))
    for (const { spec } of objects) {
      const path = 'path' in spec ? spec.path : 'source' in spec ? spec.source.path : undefined
      if (path !== undefined) expect(existsSync(join(root, path, 'kustomization.yaml')), path).toBe(true)
    }
  }
})

test('Flux waits longer than the Job may take, and makes a changed Job again, and a finished one never', () => {
  const { spec } = ofKind(readManifest('job.yaml'), 'Job')
  const objects = parseDeployer(readFileSync(join(root, 'examples', 'flux', 'database.yaml'), 'utf8'))
  const database = objects.find(({ metadata }) => metadata.name === 'shop-database')!.spec
  expect(database).toMatchObject({ wait: true, force: true, timeout: '65m' })
  expect(spec.activeDeadlineSeconds).toBeLessThan(65 * 60)
  expect(spec).not.toHaveProperty('ttlSecondsAfterFinished')
})

/** Without what kustomize adds: the account of our pods, the hashes of names, an order of its own. */
function plain(objects: KubernetesObject[]): unknown[] {
  const text = JSON.stringify(objects.filter(({ kind }) => kind !== 'ServiceAccount'))
    .replaceAll('"serviceAccountName":"shop-pgbosun",', '')
    .replaceAll(/"(shop-pgbosun(?:-backup)?)-[a-z0-9]{10}"/g, '"$1"')
  return (JSON.parse(text) as KubernetesObject[]).toSorted((a, b) => a.kind.localeCompare(b.kind))
}
