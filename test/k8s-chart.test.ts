import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { chart, helm, helmMissing, render } from './support/k8s/chart.ts'
import { build, kustomize } from './support/k8s/kustomize.ts'
import { folder, ofKind, readManifest } from './support/k8s/manifest.ts'
import { check } from './support/k8s/rules.ts'
import type { KubernetesObject } from './support/k8s/types.ts'

const read = (...path: string[]) => readFileSync(join(chart, ...path), 'utf8')
const ways = globSync('ci/*.yaml', { cwd: chart }).map((file) => basename(file, '.yaml'))
const valuesOf = (way: string) => `--values=${join(chart, 'ci', `${way}.yaml`)}`

test('the chart has the version of the program', () => {
  const { version } = JSON.parse(readFileSync(join(folder, '..', 'package.json'), 'utf8')) as { version: string }
  expect(parse(read('Chart.yaml'))).toMatchObject({ version, appVersion: version })
})

test('its templates read the values that there are, and the schema knows them all', () => {
  const places = (value: unknown, path: string[] = []): string[] =>
    typeof value !== 'object' || value === null || Array.isArray(value) || path.at(-1) === 'config'
      ? [path.join('.')]
      : Object.entries(value).flatMap(([key, one]) => places(one, [...path, key]))
  const given = places(parse(read('values.yaml'))).filter(
    (place) => place !== 'podAnnotations' && place !== 'nodeSelector',
  )
  const templates = globSync('templates/*', { cwd: chart }).map((file) => read(file))
  const used = templates.flatMap((text) => [...text.matchAll(/\.Values\.([\w.]+)/g)].map(([, place = '']) => place))
  const known = (place: string) =>
    place === '' || [...given, 'podAnnotations', 'nodeSelector'].some((one) => one === place)
  expect([...new Set(used)].filter((place) => !known(place))).toEqual([])
  expect(given.filter((place) => !used.includes(place))).toEqual([])
  const schema = JSON.parse(read('values.schema.json')) as { properties: Record<string, { properties?: object }> }
  for (const place of given) {
    const [top = '', next] = place.split('.')
    expect(Object.keys(schema.properties)).toContain(top)
    if (next !== undefined && top !== 'config')
      expect(Object.keys(schema.properties[top]!.properties ?? {})).toContain(next)
  }
})

test('nothing in it makes a secret', () => {
  const text = globSync('templates/*', { cwd: chart })
    .map((file) => read(file))
    .join('')
  expect(text).not.toMatch(/kind: Secret|rand\w+|genPrivateKey|genSelfSigned\w+|genCA|lookup/)
})

if (!helm) console.warn(`NOT RUN: what Helm makes of charts/pgbosun: ${helmMissing}`)

describe.runIf(helm)('helm', () => {
  test.each(ways)('makes for %s only what Kubernetes knows, and what keeps to every rule', async (way) => {
    expect(await check(render(valuesOf(way)))).toEqual([])
  })

  test.runIf(kustomize).each(ways)('makes for %s the objects of the overlay', (way) => {
    expect(plain(render(valuesOf(way)).objects)).toEqual(plain(build(`overlays/${way}`).objects))
  })

  test('makes the application of k8s/wait-for.yaml', () => {
    const made = ofKind(render('--set=application.mode=wait-for,up.enabled=false'), 'Deployment')
    const wanted = ofKind(readManifest('wait-for.yaml'), 'Deployment')
    expect(sorted(withoutGrace(made.spec))).toEqual(sorted(withoutGrace(wanted.spec)))
  })

  test('runs `up` as a hook before everything else, under another name with each revision', async () => {
    const manifest = render()
    const job = ofKind(manifest, 'Job')
    const config = ofKind(manifest, 'ConfigMap')
    expect(await check(manifest)).toEqual([])
    expect(job.metadata).toMatchObject({
      name: 'shop-up-1',
      annotations: { 'helm.sh/hook': 'pre-install,pre-upgrade', 'helm.sh/hook-weight': '0' },
    })
    expect(config.metadata.annotations).toMatchObject({ 'helm.sh/hook-weight': '-5' })
    expect(job.spec.ttlSecondsAfterFinished).toBe(604_800)
    expect(ofKind(render('--is-upgrade', '--set=up.hook=false'), 'Job').metadata.annotations).toBeUndefined()
  })

  test('makes new pods when a configuration changes', () => {
    const sum = (...flags: string[]) =>
      ofKind(render(valuesOf('init-container'), ...flags), 'Deployment').spec.template.metadata.annotations
    expect(sum('--set=config.environment=test')).not.toEqual(sum())
    expect(sum()).toEqual(sum())
  })

  test.each([
    ['a URL with a password', 'config.database.url=postgres://shop:secret@db/shop'],
    ['one with a driver', 'config.database.url=postgresql+asyncpg://shop:secret@db/shop'],
    ['a password with a slash', 'config.database.url=postgres://shop:se/cret@db/shop'],
    ['a password as a parameter', 'config.backup.url=postgres://db/shop?password=secret'],
    ['a password in the URL of another thing', 'config.notify[0].url=https://me:secret@hooks.example.com/x'],
    ['a password', 'config.users.shop.password=secret'],
    ['one where a name is expected', 'secrets.admin=postgres://shop:secret@db/shop'],
    ['one in the configuration of backups', 'backup.config.database.url=postgres://shop:secret@db/shop'],
    ['one in an annotation', 'podAnnotations.url=postgres://shop:secret@db/shop'],
    ['a key of S3', 'config.backup.s3.secretAccessKey=secret'],
    ['a value that it does not have', 'backups.enabled=true'],
    ['the image latest', 'image.tag=latest'],
  ])('refuses %s', (_, value) => {
    expect(() => render(`--set=${value}`)).toThrow(/schema/)
  })

  test.each([
    ['a URL without a password', 'config.database.url=postgres://shop@db:5432/shop?sslmode=verify-full'],
    ['a password from a file', 'config.users.shop.password.file=/etc/pgbosun/app/password'],
    ['an address with a port', 'config.backup.s3.endpoint=http://minio:9000'],
  ])('takes %s', (_, value) => {
    expect(render(`--set=${value}`).objects).not.toEqual([])
  })

  test.each([
    ['a hook that would wait for a server of the same release', 'postgres.enabled=true', /set up.hook to false/],
    ['`up` in two places', 'application.mode=init-container', /set up.enabled to false/],
    ['backups without a login', 'backup.enabled=true', /set secrets.backup/],
  ])('refuses %s', (_, value, said) => {
    expect(() => render(`--set=${value}`)).toThrow(said)
  })
})

/** What the chart and the overlays have in common: without sums, hashes of names, an account where a hook cannot have one, and any order. */
function plain(objects: KubernetesObject[]): unknown[] {
  const text = JSON.stringify(objects, (key, value) => (key === 'annotations' ? undefined : value)).replaceAll(
    /"((?:shop-pgbosun|postgres-config)(?:-backup)?)-[a-z0-9]{10}"/g,
    '"$1"',
  )
  return (sorted(JSON.parse(text)) as KubernetesObject[])
    .map((one) => (one.kind === 'ConfigMap' ? { ...one, data: parsed(one.data) } : one))
    .toSorted((a, b) => `${a.kind}${a.metadata.name}`.localeCompare(`${b.kind}${b.metadata.name}`))
}

const parsed = (data: Record<string, string>) =>
  Object.fromEntries(
    Object.entries(data).map(([name, text]) => [name, name.endsWith('.yaml') ? sorted(parse(text)) : text]),
  )

/** With the keys of maps, and what has a name, in the order of names; containers keep theirs. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) {
    const list = value.map(sorted) as { name?: string; mountPath?: string }[]
    return list.every((one) => one?.name !== undefined && (one.mountPath !== undefined || !('image' in one)))
      ? list.toSorted((a, b) => (a.mountPath ?? a.name!).localeCompare(b.mountPath ?? b.name!))
      : list
  }
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, one]) => [key, sorted(one)] as const)
      .toSorted(([a], [b]) => a.localeCompare(b)),
  )
}

/** k8s/wait-for.yaml leaves it at 30 s, the default; the chart says so. */
const withoutGrace = ({ template, ...spec }: { template: { spec: object } }) => ({
  ...spec,
  template: { ...template, spec: { ...template.spec, terminationGracePeriodSeconds: 30 } },
})
