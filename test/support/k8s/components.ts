import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { folder, parseManifest } from './manifest.ts'

/** The component of k8s/components/ that each manifest of k8s/ becomes. */
export const components = {
  job: 'job.yaml',
  'init-container': 'init-container.yaml',
  sidecar: 'sidecar.yaml',
  cronjob: 'cronjob.yaml',
  restore: 'restore-job.yaml',
  platform: 'wait-for.yaml',
}

/**
 * The files that the manifests of k8s/ become in k8s/components/, by path: their objects with their comments, and the configuration
 * that was in a ConfigMap.
 */
export const componentFiles = (): Record<string, string> =>
  Object.assign(
    {},
    ...Object.entries(components).map(([component, file]) => filesOf(component, file)),
    { 'k8s/components/wait-for/wait-for.yaml': ofTheApplication() },
    // a chart has only its own files, too
    ...['postgresql.conf', 'pg_hba.conf'].map((name) => ({
      [`charts/pgbosun/files/${name}`]: readFileSync(join(folder, 'components', 'postgres', name), 'utf8'),
    })),
  )

function filesOf(component: string, file: string): Record<string, string> {
  const text = readFileSync(join(folder, file), 'utf8')
  const documents = text.replace(/^(#.*\n)+/, '').split(/^---\n/m)
  const isMap = (document: string) => document.includes('\nkind: ConfigMap\n')
  const note = `# The objects of k8s/${file}, which says more. Change that file, then run \`npm run docs\`.\n`
  const configurations = documents.filter(isMap).map((map) => parseManifest(file, map).objects[0]!)
  return {
    [`k8s/components/${component}/${component}.yaml`]: note + documents.filter((one) => !isMap(one)).join('---\n'),
    ...Object.fromEntries(
      configurations.flatMap((map) =>
        map.kind === 'ConfigMap'
          ? Object.entries(map.data).map(([name, data]) => [`k8s/components/${component}/${name}`, data])
          : [],
      ),
    ),
  }
}

/** The application of k8s/wait-for.yaml, in whatever namespace kustomize is told. */
const ofTheApplication = () =>
  Object.values(filesOf('platform', 'wait-for.yaml'))
    .flatMap((text) => [
      text.slice(0, text.indexOf('apiVersion')) + text.slice(text.indexOf('apiVersion: apps/v1')),
    ])[0]!
    .replace('  namespace: shop\n', '')
