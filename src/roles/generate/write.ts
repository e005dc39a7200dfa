import { Document, isMap, isScalar, isSeq, visit, type YAMLMap } from 'yaml'
import { visible } from '../../text.ts'
import type { Generated, Note } from './types.ts'

/** The configuration as YAML, with the notes as comments above what they are about. */
export function asYaml({ config, notes }: Generated, title: string): string {
  const document = new Document(config, { aliasDuplicateObjects: false })
  visit(document, {
    Seq: (_, list) => {
      list.flow = list.items.length <= 8 && list.items.every(isScalar)
    },
    // words that other readers of YAML take for a boolean; the key `on` of a grant is one of ours
    Scalar: (key, scalar) => {
      if (/^(y|n|yes|no|on|off)$/i.test(String(scalar.value)) && !(key === 'key' && scalar.value === 'on'))
        scalar.type = 'QUOTE_DOUBLE'
    },
    Map: (_, map) => {
      map.flow = map.items.length <= 6 && map.items.every(({ value }) => isShort(value))
    },
  })
  for (const key of ['manage', 'databases', 'roles', 'users']) block(document.get(key))
  for (const section of ['databases', 'roles', 'users'])
    for (const { value } of (document.get(section) as YAMLMap | undefined)?.items ?? []) block(value)
  const places = Map.groupBy(notes, (note) => JSON.stringify(placeOf(document, note)))
  for (const [place, some] of places) comment(document, JSON.parse(place) as string[], some)
  const general = places.get('[]') ?? []
  document.commentBefore = [title, ...general.map(({ text }) => visible(text))].map((line) => ` ${line}`).join('\n')
  return document.toString({ lineWidth: 0, blockQuote: false })
}

/** Whether it fits into one line with others. */
const isShort = (value: unknown): boolean =>
  isScalar(value) ||
  (isSeq(value) && value.items.length <= 8 && value.items.every(isScalar)) ||
  (isMap(value) && value.items.length === 0)

/** A part with names of its own stays readable as a block. */
function block(part: unknown): void {
  if (isMap(part) && part.items.length > 0) part.flow = false
}

/** The key that a note belongs to: its own, else the nearest above that is there. */
function placeOf(document: Document, { path }: Note): string[] {
  for (let length = path.length; length > 0; length--)
    if (document.hasIn(path.slice(0, length))) return path.slice(0, length)
  return []
}

function comment(document: Document, place: string[], notes: Note[]): void {
  if (place.length === 0) return
  const parent = place.length === 1 ? document.contents : document.getIn(place.slice(0, -1), true)
  if (!isMap(parent)) return
  parent.flow = false
  const pair = parent.items.find(({ key }) => isScalar(key) && key.value === place.at(-1))
  if (isScalar(pair?.key)) pair.key.commentBefore = notes.map(({ text }) => ` ${visible(text)}`).join('\n')
}
