// pure
import type { Folder } from '../formats/read.ts'
import type { FormatName } from '../formats/types.ts'

/** A database with migrations, and where they come from. */
export type MigrateTarget = {
  /** Undefined is the target database of the run. */
  database: string | undefined
  dir: string
  format: FormatName | 'auto'
  role: string | undefined
  table: string | undefined
  placeholders: Record<string, string>
  allowEmpty: boolean
  /** Program that migrates it instead of files. */
  command: string[] | undefined
  /** Read before connecting; undefined where there is no folder, or `auto` has to look into the database first. */
  folder: Folder | undefined
}

/** One that a program migrates. */
export type CommandTarget = MigrateTarget & { command: string[] }

export const hasCommand = (target: MigrateTarget): target is CommandTarget => target.command !== undefined

/** ` in DATABASE` behind what is said about another database than the target. */
export const inDatabase = ({ database }: MigrateTarget) => (database === undefined ? '' : ` in ${database}`)
