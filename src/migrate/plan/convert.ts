// pure
import { usage } from '../../errors.ts'
import { checksum } from '../../formats/checksum.ts'
import { readDirectives } from '../../formats/directives.ts'
import type { Format, NewFile } from '../../formats/format.ts'
import type { Migration, Script } from '../../formats/types.ts'
import { someOf } from '../../units.ts'
import { isUnsendable, planSending, unsendableError, withoutOwnTransaction } from './sending.ts'

/** A migration of another tool, and the same migration in our format. */
export type Converted = { from: Migration; file: Migration }

/** A folder in our format. `warnings`: what a person should know about it. */
export type Conversion = { converted: Converted[]; files: NewFile[]; warnings: string[] }

export type ConvertOptions = {
  format: Pick<Format, 'name' | 'idsAreNames' | 'fillsIn'>
  /** The whole text of a file, to see whether values were substituted in the text that is sent. */
  sourceOf(path: string): string
}

/**
 * Converts files of another tool to our format: `001_name.sql`, `001_name.down.sql`, `repeatable/name.sql`, with the text that is
 * sent for them. Versions that are numbers are kept; otherwise the files are numbered in order.
 *
 * @param files in the tool's order
 * @throws {AppError} `usage`, `migration`, `lint` for a file that cannot be written in our format
 */
export function convertFiles(files: Migration[], options: ConvertOptions): Conversion {
  const versioned = files.filter(({ kind }) => kind === 'versioned')
  const repeatable = files.filter(({ kind }) => kind === 'repeatable')
  const versions = versionsOf(versioned, options.format)
  const folder: Folder = { ...options, files: [], filled: [] }
  const names = repeatableNames(repeatable)
  const converted = [
    ...versioned.map((from, i) => convertVersioned(folder, from, versions.digits[i]!)),
    ...repeatable.map((from, i) => convertRepeatable(folder, from, names[i]!)),
  ]
  return { converted, files: folder.files, warnings: warningsOf(folder, versions.renumbered, converted) }
}

/** `filled`: names of migrations in which values were substituted. */
type Folder = ConvertOptions & { files: NewFile[]; filled: string[] }

const largestVersion = 2n ** 63n - 1n

/** The digits of each version: those of the tool if all of them are numbers in the same order. */
function versionsOf(
  files: Migration[],
  { idsAreNames }: ConvertOptions['format'],
): { digits: string[]; renumbered: boolean } {
  const own = files.map(({ id, name, native }) => {
    const written = typeof native.version === 'string' ? native.version : (/^\d+/.exec(name)?.[0] ?? '')
    return /^\d+$/.test(written) && /^\d+$/.test(id) && BigInt(written) === BigInt(id) ? written : undefined
  })
  const kept = own.every(
    (digits, i) =>
      digits !== undefined && BigInt(digits) <= largestVersion && (i === 0 || BigInt(digits) > BigInt(own[i - 1] ?? 0)),
  )
  if (kept && !idsAreNames) return { digits: own as string[], renumbered: false }
  const width = Math.max(3, String(files.length).length)
  return { digits: files.map((_, i) => String(i + 1).padStart(width, '0')), renumbered: files.length > 0 }
}

/** The name without its version, as our format allows it. */
function titleOf({ name, native }: Migration): string {
  const text = typeof native.description === 'string' ? native.description : name.replace(/^\d+/, '')
  const clean = text
    .replace(/[^A-Za-z0-9_.-]+/g, '_')
    .replace(/^[_.-]+|[_.-]+$/g, '')
    .slice(0, longestTitle)
  if (clean === '' || clean === 'down') return `${clean === '' ? '' : 'down_'}migration`
  return clean.replace(/\.down$/, '_down')
}

/** In characters: a file name has at most 255 bytes. */
const longestTitle = 180

function convertVersioned(folder: Folder, from: Migration, digits: string): Converted {
  const name = `${digits}_${titleOf(from)}`
  const file = convertScript(folder, from, from, `${name}.sql`)
  const down = from.down?.()
  if (down && down.text.trim() !== '') convertScript(folder, from, down, `${name}.down.sql`)
  return { from, file: { ...file, id: String(BigInt(digits)), name, kind: 'versioned' } }
}

/** Names that sort in the order of the tool. */
function repeatableNames(files: Migration[]): string[] {
  const titles = files.map(titleOf)
  const inOrder = titles.every((title, i) => i === 0 || `${titles[i - 1]}.sql` < `${title}.sql`)
  const width = String(files.length).length
  return inOrder ? titles : titles.map((title, i) => `${String(i + 1).padStart(width, '0')}_${title}`)
}

function convertRepeatable(folder: Folder, from: Migration, title: string): Converted {
  const name = `repeatable/${title}`
  return { from, file: { ...convertScript(folder, from, from, `${name}.sql`), id: name, name, kind: 'repeatable' } }
}

function convertScript(
  folder: Folder,
  from: Migration,
  script: Script,
  path: string,
): Omit<Migration, 'id' | 'name' | 'kind'> {
  if (from.refused) throw from.refused
  const text = ownText(from.name, script)
  const isFilled =
    script.shown !== undefined || (folder.format.fillsIn && !folder.sourceOf(script.path).includes(script.text))
  if (isFilled && !folder.filled.includes(from.name)) folder.filled.push(from.name)
  folder.files.push({ file: path, text })
  const sha256 = checksum(text)
  return { path, text, line: 1, sha256, checksum: sha256, native: {}, ...readDirectives(path, text) }
}

const directive = '-- pgbosun: no-transaction\n'

/**
 * The text for our format: the text that is sent, without a BEGIN and COMMIT around all of it, because we add our own transaction;
 * and below our directive if it has to run outside a transaction.
 */
function ownText(name: string, script: Script): string {
  const { text } = script
  const bare = withoutOwnTransaction(text)
  const outside = { text: `${directive}${text}`, transactional: false }
  const inside = [text, ...(bare === undefined ? [] : [bare])].map((text) => ({ text, transactional: true }))
  const candidates = script.transactional ? [...inside, outside] : [outside, ...inside]
  const fits = candidates.find(
    (candidate) => !isUnsendable(planSending({ ...script, ...candidate }, { foreign: false })),
  )
  if (fits) return fits.text
  const refusal = planSending(script, { foreign: true })
  if (isUnsendable(refusal)) throw unsendableError(name, script, refusal)
  throw usage(`${name} cannot be written in the format of pgbosun`, {
    file: script.path,
    hint: 'put the statements between its BEGIN and COMMIT into a file of their own',
  })
}

function warningsOf({ filled, format }: Folder, renumbered: boolean, converted: Converted[]): string[] {
  const [first] = converted
  return [
    ...(renumbered && first
      ? [
          `pgbosun cannot use the versions of ${format.name}: the files are numbered instead, ${first.from.name} becomes ${first.file.name}`,
        ]
      : []),
    ...(filled.length > 0
      ? [
          `the values of placeholders or variables were written into ${someOf(filled)}: the new files contain them, secret ones included`,
        ]
      : []),
  ]
}
