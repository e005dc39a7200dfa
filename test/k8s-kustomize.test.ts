import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { componentFiles, components } from './support/k8s/components.ts'
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

const overlays = globSync('overlays/*/kustomization.yaml', { cwd: folder }).map((file) => basename(dirname(file)))

describe.runIf(kustomize)('kustomize', () => {
  test.each(
    overlays,
  )('makes of overlay %s only what Kubernetes knows, and what keeps to every rule', async (overlay) => {
    expect(await check(build(`overlays/${overlay}`))).toEqual([])
  })

  test.each(Object.entries(components))('makes of overlay %s the objects of k8s/%s', (overlay, file) => {
    const built = plain(build(`overlays/${overlay}`).objects)
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

/** Without what kustomize adds: the account of our pods, the hashes of names, an order of its own. */
function plain(objects: KubernetesObject[]): unknown[] {
  const text = JSON.stringify(objects.filter(({ kind }) => kind !== 'ServiceAccount'))
    .replaceAll('"serviceAccountName":"shop-pgbosun",', '')
    .replaceAll(/"(shop-pgbosun(?:-backup)?)-[a-z0-9]{10}"/g, '"$1"')
  return (JSON.parse(text) as KubernetesObject[]).toSorted((a, b) => a.kind.localeCompare(b.kind))
}
