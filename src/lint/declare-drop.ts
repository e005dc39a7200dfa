// pure
import type { DropStmt } from 'libpg-query'
import { type Catalog, keyOf, tableOf } from './catalog.ts'
import { droppedNames } from './tree.ts'

/** Applies a DROP to the catalog. */
export function drop(catalog: Catalog, { removeType, objects }: DropStmt): void {
  for (const name of droppedNames(objects)) {
    if (removeType === 'OBJECT_TABLE' || removeType === 'OBJECT_MATVIEW' || removeType === 'OBJECT_FOREIGN_TABLE') {
      const table = tableOf(catalog, name)
      if (table) dropTable(catalog, table.key)
    } else if (removeType === 'OBJECT_INDEX') catalog.indexes.delete(keyOf(catalog, name))
    else if (removeType === 'OBJECT_TYPE') catalog.enums.delete(keyOf(catalog, name))
    else if (removeType === 'OBJECT_DOMAIN') catalog.domains.delete(keyOf(catalog, name))
    else if (removeType === 'OBJECT_SCHEMA') dropSchema(catalog, name.name)
  }
}

function dropTable(catalog: Catalog, key: string): void {
  catalog.tables.delete(key)
  for (const [name, { table }] of catalog.indexes) if (table === key) catalog.indexes.delete(name)
}

function dropSchema(catalog: Catalog, schema: string): void {
  for (const key of [...catalog.tables.keys()]) if (key.startsWith(`${schema}.`)) dropTable(catalog, key)
  for (const map of [catalog.enums, catalog.domains])
    for (const key of [...map.keys()]) if (key.startsWith(`${schema}.`)) map.delete(key)
}
