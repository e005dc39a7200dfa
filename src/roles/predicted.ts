// pure
import type { DatabaseAction, Planned } from './actions.ts'
import type { CurrentDatabase, CurrentObject, DesiredDatabase } from './types.ts'

/** A database after these actions, as far as privileges on its schemas depend on them: those that are created or get another owner. Pure. */
export function afterActions(
  current: CurrentDatabase,
  actions: Planned<DatabaseAction>[],
  { covered }: Pick<DesiredDatabase, 'covered'>,
): CurrentDatabase {
  const owners = new Map(current.schemas.map(({ name, owner }) => [name, owner]))
  for (const { payload } of actions) {
    if (payload.do === 'create schema' || payload.do === 'own schema') owners.set(payload.schema, payload.owner)
    if (payload.do === 'reassign' && payload.word === 'schema')
      for (const { schema } of payload.objects) if (schema !== null) owners.set(schema, payload.owner)
  }
  const schemas = [...owners].map(([name, owner]) => ({
    publicMayCreate: false,
    ...current.schemas.find((schema) => schema.name === name),
    name,
    owner,
  }))
  const known = new Set(current.objects.filter(({ kind }) => kind === 'schema').map(({ name }) => name))
  const created = schemas
    .filter(({ name }) => covered.includes(name) && !known.has(name))
    .map(({ name, owner }) => freshSchema(name, owner))
  const kept = current.objects.map((object) =>
    object.kind === 'schema' ? { ...object, owner: owners.get(object.name) ?? object.owner } : object,
  )
  return { ...current, schemas, objects: [...kept, ...created] }
}

const freshSchema = (name: string, owner: string): CurrentObject => ({
  kind: 'schema',
  schema: name,
  name,
  arguments: null,
  column: null,
  owner,
  acl: [],
})
