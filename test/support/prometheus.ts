import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

/** The folder of Prometheus, promtool and the exporter; undefined where they cannot be had, which is said in a line. */
export const prometheusFolder: string | undefined = (() => {
  try {
    return execFileSync('bash', [join(import.meta.dirname, '../../scripts/prometheus.sh')], { encoding: 'utf8' }).trim()
  } catch (error) {
    console.warn(`NOT RUN: the tests with Prometheus: ${String((error as { stderr?: unknown }).stderr).trim()}`)
    return undefined
  }
})()
