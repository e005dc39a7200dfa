// pure
import type { VariableSetStmt } from 'libpg-query'
import type { Rule } from '../rule.ts'
import { textOf, textsOf } from '../tree.ts'
import type { Hit } from '../types.ts'

/** The value of a SET with one constant. */
function constantOf({ args = [] }: VariableSetStmt): string {
  const [value] = args
  if (!value || !('A_Const' in value)) return ''
  const { ival, sval, fval } = value.A_Const
  return sval?.sval ?? fval?.fval ?? String(ival?.ival ?? 0)
}

/** A time of 0: no limit. */
const isNothing = (setting: VariableSetStmt) => /^0+(ms|s|min|h|d|us)?$/.test(constantOf(setting))

const missingLockTimeout: Rule = {
  name: 'missing-lock-timeout',
  level: 'warn',
  why:
    'Without lock_timeout, a statement that waits for a lock makes all later queries on the table wait as well, however long it takes. ' +
    'pgbosun sets a lock_timeout for every file; this file removes it.',
  example: 'set lock_timeout = 0;\nalter table users add column note text',
  check({ node, start }, context) {
    if (!('VariableSetStmt' in node) || context.isDump || !context.inTransaction || context.after.length === 0)
      return []
    const { kind, name = '' } = node.VariableSetStmt
    const takesAway =
      (name === 'lock_timeout' && kind !== 'VAR_SET_VALUE') ||
      kind === 'VAR_RESET_ALL' ||
      (name === 'lock_timeout' && isNothing(node.VariableSetStmt))
    if (!takesAway) return []
    const message = 'the statements after this one wait for locks without a time limit'
    return [{ at: start, message, rewrite: [{ sql: "set local lock_timeout = '5s';" }] }]
  },
}

const sessionLeak: Rule = {
  name: 'session-leak',
  level: 'warn',
  why:
    'A setting of the session outlives the transaction: other programs that apply the same files run the next file with it. ' +
    'pgbosun resets the session after every file. SET LOCAL ends with the transaction.',
  example: 'set search_path = app',
  check(statement, context) {
    if (context.isDump) return []
    const { node, text, start } = statement
    if ('DiscardStmt' in node && node.DiscardStmt.target === 'DISCARD_ALL' && !context.inTransaction)
      return [
        { at: start, message: 'DISCARD ALL drops the advisory locks, prepared statements and settings of the session' },
      ]
    if ('VariableSetStmt' in node) return setLeak(node.VariableSetStmt, text, start, context.inTransaction)
    return configLeak(statement)
  },
}

function setLeak(setting: VariableSetStmt, text: string, start: number, inTransaction: boolean): Hit[] {
  const { kind, name = '', is_local } = setting
  const isRole = name === 'role' || name === 'session_authorization'
  if (name === 'lock_timeout' && isNothing(setting)) return []
  if (is_local || /RESET|DEFAULT|MULTI/.test(kind ?? '') || (!inTransaction && !isRole)) return []
  const sql = !inTransaction ? undefined : `${text.replace(/^set\s+(session\s+(?!authorization))?/i, 'set local ')};`
  return [
    { at: start, message: `${name} stays set after the file`, rewrite: sql === undefined ? undefined : [{ sql }] },
  ]
}

/** `select set_config('search_path', …, false)`. */
function configLeak({ node, text, start }: Parameters<Rule['check']>[0]): Hit[] {
  if (!('SelectStmt' in node)) return []
  return (node.SelectStmt.targetList ?? []).flatMap((target): Hit[] => {
    const call =
      'ResTarget' in target && target.ResTarget.val && 'FuncCall' in target.ResTarget.val
        ? target.ResTarget.val.FuncCall
        : undefined
    if (!call || textsOf(call.funcname).at(-1) !== 'set_config') return []
    const [name, , local] = (call.args ?? []).map((arg) => ('A_Const' in arg ? arg.A_Const : undefined))
    if (!local?.boolval || local.boolval.boolval) return []
    const sql = `${text.replace(/,\s*(false|'f'|'false')\s*\)/i, ', true)')};`
    return [
      {
        at: start,
        message: `${textOf(name?.sval && { String: name.sval })} stays set after the file`,
        rewrite: [{ sql }],
      },
    ]
  })
}

/** Rules about settings of the session. */
export const sessionRules: Rule[] = [missingLockTimeout, sessionLeak]
