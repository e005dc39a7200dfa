// pure
import { AppError } from '../errors.ts'
import { counted, someLines } from '../units.ts'
import type { Inspected, Prepared } from './prepared.ts'

/** All that is in the way of an import, as one error; undefined where nothing is. */
export function importProblems(opened: { name: string }, problems: readonly string[]): AppError | undefined {
  const [first] = problems
  if (first === undefined) return undefined
  const many = problems.length > 1
  return new AppError(
    'seed',
    `${opened.name} cannot be imported: ${many ? counted(problems.length, 'problem') : first}`,
    {
      ...(many && {
        excerpt: someLines(
          problems.map((problem) => `  ${problem}`),
          50,
        ).join('\n'),
      }),
      hint: 'see `pgbosun import --plan`; nothing was imported',
      report: { problems },
    },
  )
}

type Mapping = Pick<Prepared, 'plan'> & Pick<Inspected, 'facts'> & { proposals: string[] }

/** The mapping as lines of a table, for people. */
export function describeMapping({ plan, facts, proposals }: Mapping): string[] {
  const rows = plan.tables.flatMap(({ source, to, columns }, i) => [
    [source.name, `${plan.schema}.${to}`, counted(Number(facts[i]!.rows), 'row'), plan.derived ? 'created' : ''],
    ...columns.map(({ from, to: name, conversion }, j) => {
      const { values } = facts[i]!.columns[j]!
      const nulls = Number(facts[i]!.rows - values)
      return [
        `  ${from.name}`,
        `  ${name}`,
        `${from.declared === '' ? 'nothing declared' : from.declared} → ${conversion.type.sql}${conversion.unit === undefined ? '' : ` from ${conversion.unit}`}`,
        nulls > 0 ? `${nulls} NULL` : '',
      ]
    }),
  ])
  const width = (column: number) => Math.min(40, Math.max(0, ...rows.map((row) => row[column]!.length)))
  const widths = [0, 1, 2].map(width)
  return [
    ...rows.map((row) =>
      row
        .map((text, i) => text.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    ),
    ...plan.excluded.map((name) => `${name}  left out`),
    ...(proposals.length > 0
      ? [
          '',
          'these values might have a better type; add the lines that are right:',
          'import:',
          '  types:',
          ...proposals.map((line) => `    ${line}`),
        ]
      : []),
  ]
}

/** The mapping as JSON has it. */
export const mappingFields = ({ plan, facts, proposals }: Mapping) => ({
  tables: plan.tables.map(({ source, to, columns }, i) => ({
    from: source.name,
    to: `${plan.schema}.${to}`,
    rows: Number(facts[i]!.rows),
    columns: columns.map(({ from, to: name, conversion }) => ({
      from: from.name,
      to: name,
      declared: from.declared,
      type: conversion.type.sql,
    })),
  })),
  excluded: plan.excluded,
  proposals,
})
