// pure
import { someOf } from '../units.ts'
import type { Conversion } from './convert.ts'
import { declaredType, type PgType, parseTypeLine, typeOf } from './kinds.ts'
import type { ColumnPlan, TablePlan } from './mapping.ts'
import { matchName } from './match.ts'
import { inOrder, type Reference } from './order.ts'
import { referredBy } from './references.ts'
import type { Source, SourceColumn, SourceTable, Target, TargetColumn, TargetForeignKey, TargetTable } from './types.ts'

/** What `import` of the configuration says. */
export type ImportOptions = { schema: string; types: Readonly<Record<string, string>>; exclude: readonly string[] }

/** A foreign key that is checked after all rows are there. */
export type OpenKey = { table: string; name: string; deferrable: boolean; deferred: boolean }

/** How a file becomes rows. `tables` are in the order in which they are written. */
export type ImportPlan = {
  schema: string
  /** Whether the tables are created, because the database has none of them. */
  derived: boolean
  tables: TablePlan[]
  excluded: string[]
  open: OpenKey[]
  /** All that is in the way. */
  problems: string[]
  warnings: string[]
}

/** Matches a SQLite file with a schema: each table, each column, and how its values are converted. */
export function planImport(source: Source, target: Target, options: ImportOptions): ImportPlan {
  const problems: string[] = []
  const warnings: string[] = []
  const excluded = excludedOf(source, options, problems)
  const tables = source.tables.filter(({ name }) => !excluded.includes(name))
  const lines = readLines(tables, options.types, problems)
  if (!target.schema) problems.push(`the database has no schema ${options.schema}: create it in a migration`)
  if (tables.length === 0) problems.push('the file has no table to import')
  if (source.virtual.length > 0) warnings.push(`virtual tables are not imported: ${someOf(source.virtual)}`)
  if (source.views.length > 0) warnings.push(`views are not imported: ${someOf(source.views)}`)

  const found = tables.map((table) => ({ table, to: matchName(table.name, target.tables) }))
  const derived = target.schema && found.every(({ to }) => to.length === 0)
  const plans = derived
    ? tables.map((table) => derive(table, lines, problems))
    : found.flatMap(({ table, to }) => meet(table, to, { lines, schema: options.schema, problems, warnings }))
  if (derived) problems.push(...otherTypes(plans))
  if (derived) for (const { name, leftOut } of tables) for (const what of leftOut) warnings.push(`${name}: ${what}`)
  return { schema: options.schema, derived, excluded, problems, warnings, ...ordered(plans, target, derived) }
}

function excludedOf(source: Source, { exclude }: ImportOptions, problems: string[]): string[] {
  return exclude.flatMap((name) => {
    const found = matchName(name, source.tables)
    if (found.length !== 1 && ![...source.virtual, ...source.views].includes(name))
      problems.push(`\`exclude\` names the table ${name}, which is not in the file`)
    return found.map((table) => table.name)
  })
}

/** Lines under `types`, by column. */
type Lines = Map<SourceColumn, { type: PgType; unit: Conversion['unit'] }>

function readLines(tables: SourceTable[], types: ImportOptions['types'], problems: string[]): Lines {
  const lines: Lines = new Map()
  for (const [key, text] of Object.entries(types)) {
    const line = parseTypeLine(text)
    if (!line) {
      problems.push(`\`types\`: ${text} for ${key} is no type that can be imported`)
      continue
    }
    const columns = tables.flatMap((table) =>
      table.columns.map((column) => ({ column, name: `${table.name}.${column.name}` })),
    )
    const found = matchName(key, columns)
    if (found.length === 1) lines.set(found[0]!.column, line)
    else problems.push(`\`types\` names the column ${key}, which is not in the file`)
  }
  return lines
}

function derive(table: SourceTable, lines: Lines, problems: string[]): TablePlan {
  for (const name of [table.name, ...table.columns.map((column) => column.name)])
    if (Buffer.byteLength(name) > 63) problems.push(`the name ${name} is longer than 63 bytes`)
  return {
    source: table,
    to: table.name,
    columns: table.columns.map((from) => {
      const line = lines.get(from)
      const conversion = line
        ? { ...line, byLine: true }
        : { type: declaredType(from.declared), unit: undefined, byLine: false }
      return { from, to: from.name, conversion, required: from.notNull || from.key > 0, target: undefined }
    }),
  }
}

/** Foreign keys between columns that would not be of one type. */
const otherTypes = (tables: TablePlan[]): string[] =>
  tables.flatMap((table) =>
    table.source.foreignKeys.flatMap((key) => {
      const { parent, pairs } = referredBy(key, table, tables)
      return pairs.flatMap(({ from, to }) =>
        parent && to && to.conversion.type.kind !== from.conversion.type.kind
          ? [
              `${table.source.name}.${from.from.name} is ${from.conversion.type.sql} and refers to ${parent.source.name}.${to.from.name}, which is ${to.conversion.type.sql}: give them one type under \`types\``,
            ]
          : [],
      )
    }),
  )

type Meeting = { lines: Lines; schema: string; problems: string[]; warnings: string[] }

function meet(source: SourceTable, found: TargetTable[], { lines, schema, problems, warnings }: Meeting): TablePlan[] {
  const [target] = found
  if (!target || found.length > 1) {
    problems.push(
      target
        ? `the table ${source.name} could be ${found.map(({ name }) => name).join(' or ')} in schema ${schema}: exclude it, or rename one of them`
        : `the table ${source.name} is not in schema ${schema}: create it in a migration, or list it under \`exclude\``,
    )
    return []
  }
  const columns = source.columns.flatMap((from): ColumnPlan[] => {
    const matches = matchName(from.name, target.columns)
    const [to] = matches
    if (!to || matches.length > 1) {
      if (from.generated) warnings.push(`${source.name}.${from.name} is computed in SQLite, and left out`)
      else problems.push(`the column ${source.name}.${from.name} is not in the table ${schema}.${target.name}`)
      return []
    }
    if (to.generated) return []
    return [columnFor(source, from, to, lines.get(from), problems)]
  })
  for (const { name, notNull, hasDefault, generated } of target.columns)
    if (notNull && !hasDefault && !generated && !columns.some(({ to }) => to === name))
      problems.push(
        `the column ${schema}.${target.name}.${name} needs a value, and the table ${source.name} has none for it`,
      )
  return [{ source, to: target.name, columns }]
}

function columnFor(
  table: SourceTable,
  from: SourceColumn,
  target: TargetColumn,
  line: { type: PgType; unit: Conversion['unit'] } | undefined,
  problems: string[],
): ColumnPlan {
  const type = typeOf(target)
  if (line && line.type.kind !== type.kind)
    problems.push(
      `\`types\` says ${line.type.sql} for ${table.name}.${from.name}, but the column in the database is ${target.type}`,
    )
  const conversion = { type, unit: line?.unit, byLine: line !== undefined }
  return { from, to: target.name, conversion, required: target.notNull, target }
}

function ordered(plans: TablePlan[], target: Target, derived: boolean): Pick<ImportPlan, 'tables' | 'open'> {
  const byName = new Map(plans.map((plan) => [plan.to, plan]))
  const keys = derived
    ? []
    : target.tables.flatMap(({ name, foreignKeys }): Reference<TargetForeignKey>[] =>
        foreignKeys.flatMap((key) =>
          byName.has(name) && key.parent !== null ? [{ from: name, to: key.parent, key }] : [],
        ),
      )
  const { order, open } = inOrder([...byName.keys()], keys)
  return {
    tables: order.map((name) => byName.get(name)!),
    open: open.map(({ from, key: { name, deferrable, deferred } }) => ({ table: from, name, deferrable, deferred })),
  }
}
