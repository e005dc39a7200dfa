import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { type Container, type JobSpec, type KubernetesObject, type OfKind, objectSchema, type Pod } from './types.ts'

export const folder = join(import.meta.dirname, '..', '..', '..', 'k8s')

/** A file of k8s/. */
export type Manifest = { file: string; text: string; objects: KubernetesObject[] }

export const readManifest = (file: string): Manifest => parseManifest(file, readFileSync(join(folder, file), 'utf8'))

/** Kubernetes reads YAML 1.1, where 0440 is octal. */
export function parseManifest(file: string, text: string): Manifest {
  const documents = parseAllDocuments(text, { version: '1.1' })
  for (const { errors, warnings } of documents) for (const error of [...errors, ...warnings]) throw error
  return { file, text, objects: documents.map((one) => objectSchema.parse(one.toJS({ maxAliasCount: 0 }))) }
}

/** The comments of every file of k8s/: they say which commands make what is not in a file. */
export const comments = (inside = folder) =>
  globSync('{*.yaml,*.template,{components,overlays}/**/*.{yaml,template}}', { cwd: inside })
    .flatMap((file) => readFileSync(join(inside, file), 'utf8').match(/^#.*\n/gm) ?? [])
    .join('')

/** The first object of a kind. */
export function ofKind<K extends KubernetesObject['kind']>({ file, objects }: Manifest, kind: K): OfKind<K> {
  const found = objects.find((object): object is OfKind<K> => object.kind === kind)
  if (!found) throw new Error(`${file} has no ${kind}`)
  return found
}

/** What makes pods, with the pods that it makes. */
export type Workload = {
  object: OfKind<'Deployment' | 'StatefulSet' | 'Job' | 'CronJob'>
  pod: Pod
  labels: Record<string, string>
  job: JobSpec | undefined
}

export const workloads = ({ objects }: Manifest): Workload[] => objects.flatMap(workloadOf)

function workloadOf(object: KubernetesObject): Workload[] {
  const job = object.kind === 'Job' ? object.spec : object.kind === 'CronJob' ? object.spec.jobTemplate.spec : undefined
  const template = object.kind === 'Deployment' || object.kind === 'StatefulSet' ? object.spec.template : job?.template
  if (!template) return []
  return [{ object: object as Workload['object'], pod: template.spec, labels: template.metadata.labels, job }]
}

/** In the order of their start. */
export const containersOf = ({ initContainers = [], containers }: Pod): Container[] => [
  ...initContainers,
  ...containers,
]

/** The public name of our image, and the version of the program. */
export const released = JSON.parse(readFileSync(join(folder, '..', 'package.json'), 'utf8')) as {
  version: string
  config: { image: string }
}

export const isOurs = ({ image }: Pick<Container, 'image'>) => image.startsWith(`${released.config.image}:`)
