import { execFileSync, spawnSync } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { planRelease, wrongVersion } from '../scripts/release/plan.ts'
import { released } from './support/k8s/manifest.ts'

const root = join(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const next = '9.0.0'

describe('scripts/release.ts', () => {
  const release = (cwd: string, ...args: string[]) =>
    spawnSync(process.execPath, [join(cwd, 'scripts', 'release.ts'), ...args], { cwd, encoding: 'utf8' })

  test('dry, shows what it would change, and changes nothing', () => {
    const before = execFileSync('git', ['status', '--porcelain'], { cwd: root, encoding: 'utf8' })
    const { status, stdout, stderr } = release(root, next, '--dry-run')
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    for (const path of ['README.md', 'package.json', 'package-lock.json', 'k8s/job.yaml', 'charts/pgbosun/Chart.yaml'])
      expect(stdout).toContain(`change ${path}\n`)
    expect(execFileSync('git', ['status', '--porcelain'], { cwd: root, encoding: 'utf8' })).toBe(before)
  })

  test('in a copy, leaves no old version and no old name anywhere, and one page of what has changed', () => {
    const copy = mkdtempSync(join(tmpdir(), 'pgbosun-release-'))
    const git = (...args: string[]) =>
      execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', ...args], { cwd: copy, encoding: 'utf8' })
    try {
      execFileSync('sh', ['-c', `git ls-files -z | xargs -0 cp --parents -t '${copy}'`], { cwd: root })
      git('init', '--quiet')
      git('config', 'user.name', 'a')
      git('config', 'user.email', 'a@b')
      git('add', '--all', '--force')
      git('commit', '--quiet', '--message', 'first')
      expect(release(copy, next, '--image', 'registry.example.com/us/pgbosun')).toMatchObject({ status: 0, stderr: '' })
      const old = `(^|[^/\\w])${released.config.image}:${released.version}|newTag: ${released.version}`
      const left = spawnSync('git', ['grep', '-nE', old, '--', 'README.md', 'k8s', 'charts', 'examples', 'docs'], {
        cwd: copy,
      })
      expect(String(left.stdout)).toBe('')
      expect(git('describe', '--tags').trim()).toBe(`v${next}`)
      expect(git('ls-files', 'changelog/unreleased')).toBe('')
      expect(JSON.parse(readFileSync(join(copy, 'package-lock.json'), 'utf8')).packages['']).toMatchObject({
        version: next,
      })
      expect(release(copy, next)).toMatchObject({ status: 2, stderr: `error: ${next} does not come after ${next}\n` })
    } finally {
      rmSync(copy, { recursive: true })
    }
  })

  test.each([
    ['0.2.0', '0.2.0', '0.2.0 does not come after 0.2.0'],
    ['0.2.0', '0.1.9', '0.1.9 does not come after 0.2.0'],
    ['0.9.0', '0.10.0', undefined],
    ['0.2.0', 'v0.3.0', 'v0.3.0 is no version like 1.2.3'],
  ])('after %s, %s: %s', (from, to, said) => {
    expect(wrongVersion(from, to)).toBe(said)
  })

  test('changes our image and no other, and our version and no other', () => {
    const text = 'image: pgbosun:0.1.0\nimage: pgbosun:0.1.0-rc\nimage: other/pgbosun:0.1.0\nimage: shop:0.1.0\n'
    const lock = '{ "version": "0.1.0", "packages": { "": { "version": "0.1.0" }, "x": { "version": "0.1.0" } } }'
    const { files, notes } = planRelease({
      files: { 'a.yaml': text, 'package-lock.json': lock },
      fragments: { 'changelog/unreleased/002-b.md': 'B\nmore\n', 'changelog/unreleased/001-a.md': 'A\n' },
      from: { version: '0.1.0', image: 'pgbosun' },
      to: { version: '0.2.0', image: 'r/pgbosun' },
      date: '2026-11-30',
    })
    expect(files['a.yaml']).toBe(text.replace('image: pgbosun:0.1.0\n', 'image: r/pgbosun:0.2.0\n'))
    expect(files['package-lock.json']!.match(/0\.1\.0/g)).toHaveLength(1)
    expect(notes).toBe('# 0.2.0 (2026-11-30)\n\n- A\n- B\n  more\n')
  })
})

test('README, manifests and chart name the image and the version of package.json', () => {
  const { version, config } = released
  const places = ['README.md', ...globSync('{k8s,examples}/**/*.yaml', { cwd: root, exclude: ['**/node_modules'] })]
  const names = places.flatMap((path) =>
    [...read(path).matchAll(/image: (\S*pgbosun:\d\S*)/g)].map(([, name]) => ({ path, name })),
  )
  expect(names.length).toBeGreaterThan(8)
  expect(names.filter(({ name }) => name !== `${config.image}:${version}`)).toEqual([])
  expect(parse(read('charts/pgbosun/values.yaml')).image.repository).toBe(config.image)
})

test('nothing that the image is made with names an architecture', () => {
  const files = [
    'Containerfile',
    ...globSync('scripts/containers/{client-packages,collect,one-folder}.sh', { cwd: root }),
  ]
  expect(files).toHaveLength(4)
  for (const file of files) expect(read(file), file).not.toMatch(/amd64|arm64|x86[-_]64|aarch64|--platform/i)
})

test('the jobs of docs/ci.md are YAML, with scripts that bash can read', () => {
  const blocks = [...read('docs/ci.md').matchAll(/```yaml workflow\n([\s\S]*?)```/g)].map(([, text = '']) => text)
  expect(blocks).toHaveLength(2)
  const scripts = (value: unknown): string[] =>
    typeof value !== 'object' || value === null
      ? []
      : Object.entries(value).flatMap(([key, one]) =>
          key === 'run' ? [one as string] : key === 'script' ? (one as string[]) : scripts(one),
        )
  const lines = blocks.flatMap((text) => scripts(parse(text)))
  expect(lines).toHaveLength(6)
  for (const line of lines)
    expect(spawnSync('bash', ['-n'], { input: line, encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' })
})

describe('.github/workflows/ci.yml', () => {
  const workflow = parse(read('.github/workflows/ci.yml')) as {
    permissions: object
    jobs: Record<
      string,
      { 'timeout-minutes': number; needs?: string; if?: string; steps: { run?: string; uses?: string }[] }
    >
  }
  const steps = Object.values(workflow.jobs).flatMap(({ steps }) => steps)

  test('runs scripts that bash can read, into which nothing is pasted', () => {
    for (const { run } of steps) {
      if (run === undefined) continue
      expect(run).not.toContain('${{')
      expect(spawnSync('bash', ['-n'], { input: run, encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' })
    }
  })

  test('publishes what was tested, and only a tag; everything has an end and no more rights than it needs', () => {
    expect(workflow.permissions).toEqual({ contents: 'read' })
    expect(workflow.jobs.publish).toMatchObject({ needs: 'test', if: "startsWith(github.ref, 'refs/tags/v')" })
    for (const job of Object.values(workflow.jobs)) expect(job['timeout-minutes']).toBeGreaterThan(0)
    for (const { uses } of steps) if (uses) expect(uses).toMatch(/^[\w-]+\/[\w-]+@v\d+$/)
    for (const [, path = ''] of read('.github/workflows/ci.yml').matchAll(/\.\/(scripts\/\w+)/g))
      expect(read(path)).toMatch(/^#!/)
  })
})
