// pure
import { counted, plural, renderBytes } from '../units.ts'
import { estimateSeconds, type Sizes, sizeKey } from './estimate.ts'
import { printName } from './sql.ts'
import type { Cost, Finding } from './types.ts'

/** The size of a finding's table in words, and how long the statement takes: `12 GB, about 40,000,000 rows: about 2 min to rewrite`. */
export function sizeText({ table, cost }: Pick<Finding, 'table' | 'cost'>, sizes: Sizes): string | undefined {
  const size = table && sizes.get(sizeKey(table))
  if (!size) return undefined
  const rows =
    size.rows === undefined
      ? 'never analysed'
      : `about ${size.rows.toLocaleString('en-GB')} ${plural(size.rows, 'row')}`
  return `${renderBytes(size.totalBytes)}, ${rows}${cost ? `: ${duration(estimateSeconds(cost, size))} to ${verbs[cost]}` : ''}`
}

const verbs: Record<Cost, string> = { rewrite: 'rewrite', scan: 'read', build: 'build an index' }

const duration = (seconds: number) =>
  seconds < 1
    ? 'less than a second'
    : `about ${seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`}`

/** A finding for people, in several lines. */
export function renderFinding(finding: Finding, sizes: Sizes): string[] {
  const { path, line, column, level, rule, message, lock, table, why, rewrite, excerpt } = finding
  const size = sizeText(finding, sizes)
  const locked = [lock, table && `on ${printName(table)}`].filter(Boolean).join(' ')
  const rows: [string, string][] = [
    ['lock', lock === null ? '' : locked],
    ['size', size === undefined || !table ? '' : `${printName(table)} is ${size}`],
    ['why', why],
    ['safe', rewrite ?? ''],
  ]
  const details = rows
    .filter(([, text]) => text !== '')
    .flatMap(([label, text]) => `  ${label.padEnd(5)} ${text.replaceAll('\n', `\n${' '.repeat(8)}`)}`.split('\n'))
  return [`${path}:${line}:${column}  ${level}  ${rule}: ${message}`, ...excerpt.split('\n'), ...details]
}

/** A finding in one line, for the log and for `warnings` in a JSON document. */
export function findingLine(finding: Finding, sizes: Sizes): string {
  const size = sizeText(finding, sizes)
  return `${finding.path}:${finding.line}:${finding.column} ${finding.rule}: ${finding.message}${size === undefined ? '' : ` (${size})`}`
}

/**
 * A finding as an annotation in a GitHub workflow.
 * @param path of the file as GitHub knows it, relative to the repository
 * @see https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
 */
export function renderGithub(finding: Finding, sizes: Sizes, path: string): string {
  const { level, line, column, rule, message, why, rewrite } = finding
  const size = sizeText(finding, sizes)
  const text = [
    size === undefined ? message : `${message} (${size})`,
    why,
    ...(rewrite === null ? [] : ['', 'Safe:', rewrite]),
  ].join('\n')
  const properties = { file: path, line, col: column, title: rule }
  const list = Object.entries(properties).map(([key, value]) => `${key}=${escapeProperty(String(value))}`)
  return `::${level === 'error' ? 'error' : 'warning'} ${list.join(',')}::${escapeData(text)}`
}

const escapeData = (text: string) => text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
const escapeProperty = (text: string) => escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C')

/** A finding in a JSON document. */
export function jsonFinding(finding: Finding, sizes: Sizes): Record<string, unknown> {
  const { table, excerpt: _, cost, ...rest } = finding
  const size = table && sizes.get(sizeKey(table))
  return {
    ...rest,
    table: table ? printName(table) : null,
    cost,
    size_bytes: size?.totalBytes ?? null,
    rows: size?.rows ?? null,
    estimated_ms: size && cost ? Math.round(estimateSeconds(cost, size) * 1000) : null,
  }
}

/** A finding in one line, for the output of `migrate lint`. */
export function renderLine(finding: Finding, sizes: Sizes): string {
  const { path, line, column, level, rule, message } = finding
  const size = sizeText(finding, sizes)
  return `${path}:${line}:${column}  ${level}  ${rule}: ${message}${size === undefined ? '' : ` (${size})`}`
}

/**
 * The end of the output: how often each rule was broken, the most frequent one first, then the total:
 * `1 error, 2 warnings in 3 files`.
 *
 * @param folded findings in files that are already applied, which are not shown
 */
export function renderSummary(findings: Finding[], files: number, folded: Finding[] = []): string[] {
  const count = (level: Finding['level'], word: string) =>
    counted(findings.filter((one) => one.level === level).length, word)
  const total = `${count('error', 'error')}, ${count('warn', 'warning')} in ${counted(files, 'file')}`
  if (folded.length === 0) return [...ruleCounts(findings), total]
  const applied = counted(new Set(folded.map(({ path }) => path)).size, 'applied file')
  return [...ruleCounts(findings), `${total}; ${counted(folded.length, 'finding')} in ${applied}: \`--all\` shows them`]
}

function ruleCounts(findings: Finding[]): string[] {
  const counts = [...Map.groupBy(findings, ({ rule, level }) => `${rule}  ${level}`)]
    .map(([rule, { length }]) => ({ rule, length }))
    .sort((a, b) => b.length - a.length || (a.rule < b.rule ? -1 : 1))
  const width = String(counts[0]?.length ?? '').length
  return counts.map(({ rule, length }) => `${String(length).padStart(width)}  ${rule}`)
}
