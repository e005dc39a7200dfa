#!/usr/bin/env node
// Makes a release in the repository: the version and the image's public name in every file, a page of the changelog, a commit and a tag.
//
//   node scripts/release.ts 0.2.0 --dry-run    shows what would be changed, and changes nothing
//   node scripts/release.ts 0.2.0              changes it, commits and tags; nothing is pushed
//   node scripts/release.ts 0.2.0 --image registry.example.com/me/pgbosun
//
// Pushing the tag makes .github/workflows/ci.yml build and publish the image and the npm package. By hand: the last lines that it prints.
import { execFileSync } from 'node:child_process'
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { parseArgs } from 'node:util'
import { planRelease, wrongVersion } from './release/plan.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { 'dry-run': { type: 'boolean' }, image: { type: 'string' } },
})
const [version = ''] = positionals
const { version: old, config } = JSON.parse(readFileSync('package.json', 'utf8'))
const git = (...args: string[]) => execFileSync('git', args, { encoding: 'utf8' }).trim()

const named =
  '{README.md,package.json,package-lock.json,k8s/**/*.yaml,charts/**/*.yaml,examples/**/*.{yaml,md},docs/**/*.md}'
const texts = (pattern: string) =>
  Object.fromEntries(
    globSync(pattern, { exclude: ['**/node_modules'] }).map((path) => [path, readFileSync(path, 'utf8')]),
  )
const fragments = texts('changelog/unreleased/*.md')

const wrong =
  wrongVersion(old, version) ??
  (Object.keys(fragments).length === 0 ? 'changelog/unreleased/ is empty: nothing has changed' : undefined) ??
  (existsSync(`changelog/${version}.md`) ? `changelog/${version}.md exists` : undefined) ??
  (git('tag', '--list', `v${version}`) === '' ? undefined : `the tag v${version} exists`) ??
  (values['dry-run'] || git('status', '--porcelain') === '' ? undefined : 'there are changes that are not committed')
if (wrong) {
  console.error(`error: ${wrong}`)
  process.exit(2)
}

const plan = planRelease({
  files: texts(named),
  fragments,
  from: { version: old, image: config.image },
  to: { version, image: values.image ?? config.image },
  date: new Date().toISOString().slice(0, 10),
})
for (const path of Object.keys(plan.files).toSorted()) console.log(`change ${path}`)
console.log(`remove ${plan.removed.length} files of changelog/unreleased`)
console.log(`commit and tag v${version}`)

if (!values['dry-run']) {
  for (const [path, text] of Object.entries(plan.files)) {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }
  for (const path of plan.removed) rmSync(path)
  git('add', '--all')
  git('commit', '--quiet', '--message', `Version ${version}`)
  git('tag', '--annotate', `v${version}`, '--message', `Version ${version}`)
}

const image = values.image ?? config.image
console.log(`
docker build --tag ${image}:${version} --build-arg VERSION=${version} --build-arg REVISION=$(git rev-parse HEAD) -f Containerfile .
npm pack
git push --follow-tags`)
