// pure
import type { CurrentCatalog, CurrentDatabase } from '../types.ts'

/** A part of a configuration file. */
export type Part = Record<string, unknown>

/** What a configuration is generated from: one database, and all roles of its server. */
export type Found = {
  database: string
  /** All roles, with all their memberships and settings; of the databases, only this one. */
  cluster: CurrentCatalog
  /** All schemas and the objects in them, without those of extensions. */
  inside: CurrentDatabase
  /** Roles with a password; undefined where that may not be read. */
  passwords: ReadonlySet<string> | undefined
  /** Schemas that belong to an extension. */
  extensionSchemas: string[]
  /** How many large objects have privileges of their own. */
  largeObjects: number
}

/**
 * What a reader of the file should know. `path`: the key that it is about, or one below which something is missing. `lost`: something
 * on the server is not in the file.
 */
export type Note = { path: string[]; text: string; lost: boolean }

/** A configuration, and notes on it. */
export type Generated = { config: Part; notes: Note[] }

/** How roles are named in the file. */
export type Names = {
  /** Roles that the file cannot name. */
  unnamed: ReadonlySet<string>
  /** Roles that are only referred to, with the reason. `lost`: only because the file cannot say something of them. */
  external: ReadonlyMap<string, { reason: string; lost: boolean }>
  /** Variables of passwords, by role. */
  variables: ReadonlyMap<string, string>
}
