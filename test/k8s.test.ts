import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { folder, ofKind, parseManifest, readManifest } from './support/k8s/manifest.ts'
import { check, rules } from './support/k8s/rules.ts'

const files = readdirSync(folder).filter((file) => file.endsWith('.yaml'))

test.each(files)('k8s/%s has only fields that Kubernetes knows, and keeps to every rule', async (file) => {
  expect(await check(readManifest(file))).toEqual([])
})

test('there is a manifest of every kind', () => {
  expect(files).toEqual([
    'cronjob.yaml',
    'init-container.yaml',
    'job.yaml',
    'restore-job.yaml',
    'sidecar.yaml',
    'wait-for.yaml',
  ])
})

/** What somebody could do to a manifest, and which rules see it. */
const spoiled: [rule: string, file: string, from: string | RegExp, to: string][] = [
  ['restricted', 'job.yaml', 'runAsNonRoot: true', 'runAsNonRoot: false'],
  ['restricted', 'job.yaml', 'drop: [ALL]', 'drop: [ALL], add: [CHOWN]'],
  ['restricted', 'init-container.yaml', 'allowPrivilegeEscalation: false', 'allowPrivilegeEscalation: true'],
  ['restricted', 'sidecar.yaml', 'seccompProfile: { type: RuntimeDefault }', 'seccompProfile: { type: Unconfined }'],
  ['restricted', 'cronjob.yaml', 'readOnlyRootFilesystem: true', 'readOnlyRootFilesystem: false'],
  ['restricted', 'restore-job.yaml', 'runAsUser: 65532', 'runAsUser: 0'],
  ['noAccess', 'wait-for.yaml', 'automountServiceAccountToken: false', 'automountServiceAccountToken: true'],
  ['noAccess', 'sidecar.yaml', /enableServiceLinks: false.*\n/, 'enableServiceLinks: true\n'],
  ['resources', 'job.yaml', 'limits: { memory: 128Mi }', 'limits: { memory: 1Gi }'],
  ['resources', 'job.yaml', 'limits: { memory: 128Mi }', 'limits: { memory: 128Mi, cpu: 100m }'],
  ['image', 'job.yaml', 'image: pgbosun:0.1.0', 'image: pgbosun:latest'],
  [
    'unique',
    'job.yaml',
    '- { name: tmp, emptyDir',
    '- { name: app, emptyDir: { sizeLimit: 1Mi } }\n        - { name: tmp, emptyDir',
  ],
  ['bound', 'components/postgres/postgres.yaml', 'targetPort: postgres', 'targetPort: 5433'],
  [
    'bound',
    'components/postgres/postgres.yaml',
    /podSelector:\n {4}matchLabels: \{ app.kubernetes.io\/name: \w+/,
    'podSelector:\n    matchLabels: { app.kubernetes.io/name: postgresql',
  ],
  ['bound', 'job.yaml', 'restartPolicy: Never', 'restartPolicy: Never\n      serviceAccountName: nobody'],
  ['probes', 'sidecar.yaml', /startupProbe: .*\n/, '\n'],
  ['probes', 'sidecar.yaml', 'path: /livez', 'path: /readyz'],
  ['probes', 'sidecar.yaml', 'path: /, port: http', 'path: /, port: web'],
  ['served', 'sidecar.yaml', 'failureThreshold: 900', 'failureThreshold: 90'],
  ['served', 'sidecar.yaml', 'access: loopback', "listen: '[::]:8081'"],
  ['served', 'sidecar.yaml', 'access: loopback', 'access: open'],
  ['served', 'sidecar.yaml', 'args: [serve]', 'args: [up]'],
  ['mounts', 'job.yaml', '- { name: tmp, emptyDir', '- { name: cache, emptyDir'],
  ['sources', 'job.yaml', 'secretName: shop-admin', 'secretName: shop-administrator'],
  ['sources', 'job.yaml', '{ key: url, path: url }', '{ key: uri, path: url }'],
  ['sources', 'job.yaml', 'configMap: { name: shop-migrations-1 }', 'configMap: { name: shop-migrations }'],
  ['sources', 'job.yaml', 'defaultMode: 0440', 'defaultMode: 0444'],
  ['sources', 'wait-for.yaml', 'shop-migrations-1 --namespace databases', 'shop-migrations-1'],
  ['sources', 'restore-job.yaml', 'of sidecar.yaml or cronjob.yaml', 'of yours'],
  ['paths', 'job.yaml', 'file: /etc/pgbosun/app/password', 'file: /etc/pgbosun/app/secret'],
  ['paths', 'job.yaml', 'migrate: { dir: /migrations }', 'migrate: { dir: /sql }'],
  ['paths', 'cronjob.yaml', 'store: file:///backups', 'store: file:///var/backups'],
  ['paths', 'restore-job.yaml', 'mountPath: /backups }', 'mountPath: /backups, readOnly: true }'],
  ['paths', 'wait-for.yaml', 'DATABASE_URL_FILE, value: /etc/shop/url', 'DATABASE_URL_FILE, value: /etc/shop/password'],
  ['variables', 'wait-for.yaml', 'name: PGBOSUN_WAIT_PATIENT', 'name: BOSUN_WAIT_PATIENT'],
  ['commandLine', 'wait-for.yaml', 'name: PGBOSUN_WAIT_PATIENT', 'name: PGBOSUN_WAIT_PATIENCE'],
  ['commandLine', 'job.yaml', 'migrate: { dir:', 'migration: { dir:'],
  ['commandLine', 'job.yaml', 'value: /etc/pgbosun/config/pgbosun.yaml', 'value: /etc/pgbosun/config/pgbosun.yml'],
  ['patient', 'job.yaml', 'patient: true', 'patient: false'],
  ['patient', 'restore-job.yaml', "PGBOSUN_WAIT_PATIENT, value: 'true'", "PGBOSUN_WAIT_PATIENT, value: 'false'"],
  ['exits', 'job.yaml', '[2, 20,', '[2, 12, 20,'],
  ['exits', 'job.yaml', '40, 50]', '40]'],
  ['exits', 'restore-job.yaml', '61, 62, 70]', '61, 62, 63, 70]'],
  ['commandLine', 'restore-job.yaml', 'args: [restore,', 'args: [restor,'],
  ['commandLine', 'restore-job.yaml', '--yes]', '--sure]'],
  ['exits', 'cronjob.yaml', /- action: Ignore.*\n.*\n +/, ''],
  ['policy', 'cronjob.yaml', 'containerName: prune', 'containerName: pruning'],
  ['jobs', 'job.yaml', 'restartPolicy: Never', 'restartPolicy: OnFailure'],
  ['jobs', 'job.yaml', 'activeDeadlineSeconds: 3600', 'activeDeadlineSeconds: 1800'],
  ['jobs', 'job.yaml', 'backoffLimit: 3', 'backoffLimit: 6'],
  ['jobs', 'wait-for.yaml', 'ttlSecondsAfterFinished: 604800', 'ttlSecondsAfterFinished: 300'],
  ['jobs', 'cronjob.yaml', 'activeDeadlineSeconds: 43200', 'activeDeadlineSeconds: 86400'],
  ['cronJobs', 'cronjob.yaml', "schedule: '0 3 * * *'", "schedule: '0 30 * * *'"],
  ['cronJobs', 'cronjob.yaml', 'timeZone: Etc/UTC', 'timeZone: Etc/London'],
  ['cronJobs', 'cronjob.yaml', 'concurrencyPolicy: Forbid', 'concurrencyPolicy: Allow'],
  ['deployments', 'sidecar.yaml', 'replicas: 1', 'replicas: 2'],
  ['deployments', 'sidecar.yaml', 'type: Recreate', 'type: RollingUpdate'],
  ['deployments', 'init-container.yaml', 'matchLabels: { app.kubernetes.io/name: shop }', 'matchLabels: { app: shop }'],
  ['rollout', 'init-container.yaml', 'progressDeadlineSeconds: 1800', 'progressDeadlineSeconds: 600'],
  ['kept', 'init-container.yaml', '- { name: app, mountPath: /etc/shop', '- { name: admin, mountPath: /etc/shop'],
]

describe('the rules', () => {
  test.each(spoiled)('%s sees it in %s: %s', async (rule, file, from, to) => {
    const text = readFileSync(join(folder, file), 'utf8')
    const changed = text.replace(from, to)
    expect(changed).not.toBe(text)
    expect(await rules[rule]!(parseManifest(file, changed))).not.toEqual([])
  })

  test('each of them is among those', () => {
    expect([...new Set(spoiled.map(([rule]) => rule))].toSorted()).toEqual(Object.keys(rules).toSorted())
  })

  test.each([
    ['backoffLimit:', 'backofLimit:'],
    ['restartPolicy: Never', 'restartPolicy: Sometimes'],
    ['enableServiceLinks: false', 'hostNetwork: true'],
    ['memory: 128Mi', 'memory: 128MiB'],
    ['name: shop-up-1', 'name: shop_up_1'],
    ['emptyDir: { sizeLimit: 64Mi }', 'hostPath: { path: /tmp }'],
    ['apiVersion: batch/v1', 'apiVersion: batch/v1beta1'],
  ])('an object with %s as %s has no type', (from, to) => {
    const { text } = readManifest('job.yaml')
    expect(text).toContain(from)
    expect(() => parseManifest('job.yaml', text.replace(from, to))).toThrow()
  })
})

test('a Job that something may wait for is not deleted', () => {
  expect(ofKind(readManifest('job.yaml'), 'Job').spec).not.toHaveProperty('ttlSecondsAfterFinished')
})

test('the pods of a platform’s application get none of our Secrets, and no file of ours', () => {
  const { spec } = ofKind(readManifest('wait-for.yaml'), 'Deployment').spec.template
  expect(spec.volumes?.map(({ secret }) => secret?.secretName)).toEqual(['shop-app'])
})

describe('secret.yaml.template', () => {
  const { text } = readManifest('secret.yaml.template')
  const commands = text.match(/^# {3}(?! ).*$/gm)!.map((line) => line.slice(4))
  const envsubst = spawnSync('envsubst', ['--version']).status === 0
  if (!envsubst) console.warn('NOT RUN: the commands of k8s/secret.yaml.template: there is no envsubst (gettext)')

  test.runIf(envsubst)('is filled by the commands at its top, whatever is in the URL', () => {
    const url = `postgres://postgres:p%27a"s$HOME s@postgres:5432/shop`
    const script = commands.slice(0, 4).join('\n').replaceAll('kubectl apply -f -', 'cat')
    const filled = execFileSync('bash', ['-euc', script], {
      cwd: join(folder, '..'),
      input: `${url}\n`,
      encoding: 'utf8',
    })
    const { objects } = parseManifest('secret.yaml', filled)
    const [admin, app, backup] = objects.map((object) => (object.kind === 'Secret' ? object.stringData : {}))
    expect(admin).toEqual({ url })
    expect(app).toEqual({
      url: `postgres://shop:${app!.password}@postgres:5432/shop`,
      password: expect.stringMatching(/^[0-9a-f]{48}$/),
    })
    expect(backup).toEqual({
      url: `postgres://shop_backup:${backup!.password}@postgres:5432/shop`,
      password: expect.stringMatching(/^[0-9a-f]{48}$/),
    })
    expect(app!.password).not.toBe(backup!.password)
  })

  test('selects for the application’s namespace what the application may have', () => {
    const { objects } = readManifest('secret.yaml.template')
    const selected = /--selector (\S+)=(\S+)/.exec(text)!
    const names = objects
      .filter(({ metadata }) => metadata.labels?.[selected[1]!] === selected[2])
      .map(({ metadata }) => metadata.name)
    expect(names).toEqual(['shop-app'])
  })
})
