// pure
import type { Dirs, Folder } from '../formats/read.ts'
import type { FormatName } from '../formats/types.ts'

/** A database with migrations, and where they come from. */
export type MigrateTarget = {
  /** Undefined is the target database of the run. */
  database: string | undefined
  dirs: Dirs
  format: FormatName | 'auto'
  role: string | undefined
  table: string | undefined
  placeholders: Record<string, string>
  allowEmpty: boolean
  /** The program that migrates the database, instead of files. */
  command: string[] | undefined
  /** Read before connecting; undefined when there are no folders, or when `auto` has to look into the database first. */
  folder: Folder | undefined
}

/** A target that a program migrates. */
export type CommandTarget = MigrateTarget & { command: string[] }

export const hasCommand = (target: MigrateTarget): target is CommandTarget => target.command !== undefined

/** ` in DATABASE`, appended to messages about a database that is not the target. */
export const inDatabase = ({ database }: MigrateTarget) => (database === undefined ? '' : ` in ${database}`)
