// pure
import type { AlterTableCmd, Node } from 'libpg-query'
import { constraintOf } from './tree.ts'

/**
 * The order in which PostgreSQL runs the commands of an ALTER TABLE, however they are written. A foreign key therefore sees
 * the columns as `type` and `addColumn` left them.
 *
 * @see https://github.com/postgres/postgres/blob/master/src/backend/commands/tablecmds.c (AlterTablePass)
 */
const passes = ['drop', 'type', 'addColumn', 'attributes', 'indexConstraint', 'otherConstraint', 'misc'] as const

export type Pass = (typeof passes)[number]

const bySubtype: Partial<Record<string, Pass>> = {
  AT_DropColumn: 'drop',
  AT_DropConstraint: 'drop',
  AT_DropNotNull: 'drop',
  AT_DropIdentity: 'drop',
  AT_DropExpression: 'drop',
  AT_AlterColumnType: 'type',
  AT_AddColumn: 'addColumn',
  AT_SetNotNull: 'attributes',
  AT_AddIdentity: 'otherConstraint',
  AT_CookedColumnDefault: 'otherConstraint',
}

/** The pass of a command. */
function passOf(command: AlterTableCmd): Pass {
  const { subtype = '', def } = command
  if (subtype === 'AT_ColumnDefault') return def ? 'otherConstraint' : 'drop'
  if (subtype === 'AT_AddConstraint') return passOfConstraint(constraintOf(command)?.contype)
  return bySubtype[subtype] ?? 'misc'
}

function passOfConstraint(type = ''): Pass {
  if (type === 'CONSTR_NOTNULL') return 'attributes'
  return /PRIMARY|UNIQUE|EXCLUSION/.test(type) ? 'indexConstraint' : 'otherConstraint'
}

/** The commands in the order in which they run; with `before`, only those that run before that pass. */
export function inPasses(commands: Node[], before?: Pass): AlterTableCmd[] {
  const all = commands.flatMap((node) => ('AlterTableCmd' in node ? [node.AlterTableCmd] : []))
  const wanted = before === undefined ? passes : passes.slice(0, passes.indexOf(before))
  return wanted.flatMap((pass) => all.filter((command) => passOf(command) === pass))
}
