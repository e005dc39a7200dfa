import { execFileSync, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { comments, folder, type Manifest, parseManifest } from './manifest.ts'

/** The real kustomize: that of kubectl, or the program itself. */
export const kustomize: string[] | undefined = [
  ['kubectl', 'kustomize'],
  ['kustomize', 'build'],
].find(([program = '']) => spawnSync(program, ['help'], { stdio: 'ignore' }).status === 0)

/** What kustomize makes of a folder of k8s/, with the comments of every file there, as a manifest. */
export function build(place: string, inside = folder): Manifest {
  const [program = '', ...args] = kustomize ?? []
  const rendered = execFileSync(program, [...args, join(inside, place)], { encoding: 'utf8' })
  return parseManifest(place, comments(inside) + rendered)
}
