import * as z from 'zod'
import { configSchema } from './schema.ts'
import { leaves, secretForms, variableOf } from './walk.ts'

type Node = {
  description?: string
  default?: unknown
  type?: string | string[]
  enum?: unknown[]
  const?: unknown
  properties?: Record<string, Node>
  additionalProperties?: Node | false
  items?: Node
  anyOf?: Node[]
  oneOf?: Node[]
  required?: string[]
}

/** JSON Schema (2020-12) of the configuration file. */
export function jsonSchema(): Record<string, unknown> {
  return { ...z.toJSONSchema(configSchema, { io: 'input' }), title: 'Configuration of pgbosun' }
}

/** The reference page, docs/configuration.md: every key with its type, default, variable and meaning. */
export function renderReference(): string {
  const variables = new Map(
    leaves(configSchema).map(({ path, kind }) => [
      path.join('.'),
      variableOf(path) + (kind === 'secret' ? '[_FILE]' : ''),
    ]),
  )
  const rows = keyRows(jsonSchema() as Node, '')
  return [
    '# Configuration',
    '',
    '<!-- Made by `npm run docs` from src/config/schema.ts: do not edit. -->',
    '',
    'The configuration is a YAML or JSON file: `pgbosun.yaml` in the working directory, or the one of `--config FILE`. Scalars and lists of scalars can',
    'also be set by an environment variable, which overrides the file; the items of a list are separated by commas. A secret is `{ env: NAME }`, `{ file: PATH }`, `{ command: [PROGRAM, ARGUMENT] }` or `{ http: URL }` (see [secrets](secrets.md)); its variable holds the secret itself, and',
    'the variable with `_FILE` at the end holds the path of a file with the secret. A URL of a database without a password may also be written as text. A duration',
    'is a number and a unit: `500ms`, `30s`, `5m`, `6h`, `7d`; so is a size: `500MB`, `20GiB`. An unknown key or `PGBOSUN_*` variable is an error (exit 2). Relative paths are relative to the folder',
    'of the configuration file, or to the working directory if there is no file.',
    '',
    '| key | type | default | variable | meaning |',
    '|---|---|---|---|---|',
    ...rows.map(
      ({ path, type, fallback, text }) =>
        `| \`${path}\` | ${type} | ${fallback} | ${variables.has(path) ? `\`${variables.get(path)}\`` : ''} | ${text} |`,
    ),
    '',
  ].join('\n')
}

type Row = { path: string; type: string; fallback: string; text: string }

function keyRows(node: Node, path: string): Row[] {
  const below = [
    ...Object.entries(node.properties ?? {}).flatMap(([key, child]) =>
      rowsOf(child, path === '' ? key : `${path}.${key}`),
    ),
    ...(node.additionalProperties ? rowsOf(node.additionalProperties, `${path}.NAME`) : []),
    ...(node.items?.properties || node.items?.anyOf ? keyRows(node.items, `${path}[]`) : []),
    ...[...(node.anyOf ?? []), ...(node.oneOf ?? [])].flatMap((option) => keyRows(option, path)),
  ]
  return below.filter(({ path: one }, i) => below.findIndex(({ path: other }) => other === one) === i)
}

function rowsOf(node: Node, path: string): Row[] {
  if (node.anyOf?.some(isSecretPart) && node.anyOf.every((option) => isSecretPart(option) || option.type === 'string'))
    return [row(node, path, node.anyOf.every(isSecretPart) ? 'secret' : 'URL or secret')]
  const below = keyRows(node, path)
  if (below.length > 0 && node.description === undefined) return below
  return [row(node, path, typeOf(node)), ...below]
}

const isSecretPart = ({ properties }: Node) => secretForms.includes(Object.keys(properties ?? {}).join())

function row(node: Node, path: string, type: string): Row {
  const fallback =
    node.default === undefined || (typeof node.default === 'object' && !Array.isArray(node.default))
      ? ''
      : `\`${JSON.stringify(node.default)}\``
  return { path, type, fallback, text: (node.description ?? '').replaceAll('|', '\\|') }
}

function typeOf(node: Node): string {
  if (node.enum) return node.enum.map((value) => `\`${value}\``).join(', ')
  if (node.const !== undefined) return `\`${node.const}\``
  if (node.anyOf) return [...new Set(node.anyOf.map(typeOf).filter((type) => type !== 'null'))].join(' or ')
  if (node.type === 'array') return `list of ${node.items ? typeOf(node.items) : 'values'}`
  if (node.type === 'object') return 'map'
  return String(node.type ?? 'value')
}
