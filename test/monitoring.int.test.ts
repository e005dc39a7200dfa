import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { ruleFiles, rules } from '../scripts/alert-rules.ts'
import { test as withServer } from './support/postgres.ts'
import { prometheusFolder } from './support/prometheus.ts'
import { cases, testFile, unfired } from './support/rule-cases.ts'

const root = join(import.meta.dirname, '..')
const folder = join(root, 'k8s/monitoring')
const promtool = (...args: string[]) => spawnSync(join(prometheusFolder!, 'promtool'), args, { encoding: 'utf8' })

describe('alert rules', () => {
  test.each(Object.entries(ruleFiles))('k8s/monitoring/%s is what scripts/alert-rules.ts makes', (name, text) => {
    expect(readFileSync(join(folder, name), 'utf8')).toBe(text)
  })

  test('each leads to a section that exists', () => {
    for (const { annotations } of rules) {
      const [file, anchor] = annotations.runbook_url.split('#')
      const text = readFileSync(join(root, file!), 'utf8')
      const anchors = [...text.matchAll(/^#+ (.*)$/gm)].map(([, title]) => title!.toLowerCase().replaceAll(' ', '-'))
      expect(anchors).toContain(anchor)
    }
  })

  test('each has a case in which it fires', () => {
    expect(unfired(cases())).toEqual([])
  })

  test.runIf(prometheusFolder)('promtool finds nothing to say of them', () => {
    const { status, stdout, stderr } = promtool(
      'check',
      'rules',
      '--lint=all',
      '--lint-fatal',
      join(folder, 'rules.yaml'),
    )
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toContain(`SUCCESS: ${rules.length} rules found`)
  })

  withServer.runIf(prometheusFolder)(
    'they fire when they should, and are silent when they should be',
    async ({ dir }) => {
      for (const one of cases()) {
        const file = join(dir, `every-${one.every}.yaml`)
        writeFileSync(file, stringify(testFile(join(folder, 'rules.yaml'), one), { aliasDuplicateObjects: false }))
        const { status, stdout, stderr } = promtool('test', 'rules', file)
        expect(`${stdout}${stderr}`).toContain('SUCCESS')
        expect(status).toBe(0)
      }
    },
    60_000,
  )
})
