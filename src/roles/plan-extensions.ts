// pure
import { counted } from '../units.ts'
import { type DatabaseAction, type Planned, planned } from './actions.ts'
import type { CurrentDatabase, DesiredDatabase, DesiredExtension } from './types.ts'

type Actions = Planned<DatabaseAction>[]

/** The declared extensions that are missing, or are in another schema or version. Pure. */
export const planExtensions = ({ extensions }: DesiredDatabase, current: CurrentDatabase): Actions =>
  extensions.filter(({ ensure }) => ensure !== 'absent').flatMap((extension) => planExtension(extension, current))

/**
 * Drops what is declared absent. What somebody else needs stays, and so does the difference. Part of the plan of grants: a migration
 * may remove what needs it. Pure.
 */
export const planUnwanted = ({ unwantedExtensions }: CurrentDatabase): Actions =>
  unwantedExtensions.map(({ name, neededBy, needs, tables }) => {
    const reasons = [
      'is declared absent',
      ...(tables > 0 ? [`${counted(tables, 'table')} of it, with all rows, would go too`] : []),
      ...(needs > 0
        ? [
            `stays, because of ${neededBy.join(', ')}${needs > neededBy.length ? ` and ${needs - neededBy.length} more` : ''}`,
          ]
        : []),
    ]
    const drop = { do: 'drop extension', extension: name, impossible: needs > 0 } as const
    return planned<DatabaseAction>(drop, 'drop', `extension ${name}`, reasons.join('; '))
  })

function planExtension(
  { name, schema, version }: DesiredExtension,
  { extensions, extensionsWithSchema }: CurrentDatabase,
): Actions {
  const object = `extension ${name}`
  const existing = extensions.find((extension) => extension.name === name)
  if (!existing) {
    const create = {
      do: 'create extension',
      extension: name,
      // Never left to the search_path: the owner of its first schema could plant functions that the extension's script calls.
      schema: schema ?? (extensionsWithSchema.includes(name) ? null : 'public'),
      ...(version !== undefined && { version }),
    } as const
    return [planned(create, 'create', object, 'is not installed')]
  }
  return [
    ...(version !== undefined && version !== existing.version
      ? [
          planned(
            { do: 'update extension', extension: name, version } as const,
            'alter',
            object,
            `version is ${existing.version}, declared ${version}`,
          ),
        ]
      : []),
    ...(schema !== undefined && schema !== existing.schema
      ? [
          planned(
            { do: 'move extension', extension: name, schema } as const,
            'alter',
            object,
            `schema is ${existing.schema}, declared ${schema}`,
          ),
        ]
      : []),
  ]
}
