// pure
import { type JsonField, JsonProblem, type JsonValue, parseArray, stringOf } from './json-scan.ts'

/** What a column makes of a nested value: json of its text, an array of its elements, and any other type reads the text itself. */
export type ColumnShape = { name: string; json: boolean; array: boolean }

/**
 * A row as a line of COPY's text format, with its values in the order of the columns. A column whose key is absent is NULL there, and
 * `0` in a last value that has one digit for each column, if `sparse`.
 * @throws {JsonProblem} when PostgreSQL cannot store a text
 */
export function renderRow(fields: readonly JsonField[], columns: readonly ColumnShape[], sparse: boolean): string {
  const inOrder = fields.length === columns.length && fields.every(({ name }, i) => name === columns[i]!.name)
  const found = inOrder ? fields : pick(fields, columns)
  let line = ''
  for (let i = 0; i < columns.length; i++) {
    const field = found[i]
    if (i > 0) line += '\t'
    line += field === undefined || field.kind === 'null' ? '\\N' : escaped(renderValue(field, columns[i]!))
  }
  return sparse ? `${line}\t${found.map((field) => (field === undefined ? '0' : '1')).join('')}\n` : `${line}\n`
}

function pick(fields: readonly JsonField[], columns: readonly ColumnShape[]): (JsonField | undefined)[] {
  const byName = new Map(fields.map((field) => [field.name, field]))
  return columns.map(({ name }) => byName.get(name))
}

function renderValue(value: JsonValue, { json, array }: ColumnShape): string {
  if (json && !array) return value.raw
  if (array && value.kind === 'array') return arrayLiteral(value, json)
  return value.kind === 'string' ? textOf(value) : value.raw
}

function textOf({ raw, at }: JsonValue): string {
  const text = stringOf(raw)
  if (text.includes('\0')) throw new JsonProblem(at, 'PostgreSQL cannot store \\u0000 in a text')
  if (!text.isWellFormed()) throw new JsonProblem(at, 'half a surrogate pair is no character')
  return text
}

/** An array as PostgreSQL reads it. Within an array of json, an array is a value of json. */
function arrayLiteral({ raw, at }: JsonValue, json: boolean): string {
  const elements = parseArray(raw).map((value) => {
    if (value.kind === 'null') return 'NULL'
    if (json) return quoted(value.raw)
    if (value.kind === 'array') return arrayLiteral({ ...value, at: at + value.at }, json)
    return quoted(value.kind === 'string' ? textOf({ ...value, at: at + value.at }) : value.raw)
  })
  return `{${elements.join(',')}}`
}

const quoted = (text: string) => `"${text.replaceAll(/["\\]/g, '\\$&')}"`

const special = /[\\\n\r\t]/
const escapes: Record<string, string> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }

const escaped = (text: string) =>
  special.test(text) ? text.replaceAll(/[\\\n\r\t]/g, (character) => escapes[character]!) : text
