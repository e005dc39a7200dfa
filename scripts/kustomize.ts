#!/usr/bin/env node
// Writes the parts of k8s/components/ that are the manifests of k8s/, taken apart: what kustomize cannot read from outside its own folder.
// A ConfigMap becomes the file that it holds, so that kustomize can name it by its content. `npm run docs` runs this; a test holds it.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { componentFiles } from '../test/support/k8s/components.ts'

const root = join(import.meta.dirname, '..')
for (const [path, text] of Object.entries(componentFiles())) {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), text)
}
