// pure
import { type LintRuleName, lintRuleNames } from '../config/lint-rules.ts'
import { didYouMean } from '../config/suggest.ts'

/** A comment `-- pgbosun: allow RULE reason`; it applies to the whole file. */
export type Allow = {
  rule: LintRuleName
  reason: string
  /** Offset of the line. */
  at: number
}

/** A comment without effect, and why. */
export type BadAllow = { at: number; message: string }

const line = /^[ \t]*--[ \t]*pgbosun:[ \t]*allow\b[ \t]*(\S*)[ \t]*(.*?)[ \t]*$/gm

/** The comments of a text that allow something. */
export function readAllows(text: string): { allows: Allow[]; bad: BadAllow[] } {
  const allows: Allow[] = []
  const bad: BadAllow[] = []
  if (!text.includes('pgbosun:')) return { allows, bad }
  for (const { 1: rule = '', 2: reason = '', index: at } of text.replaceAll('\r', ' ').matchAll(line)) {
    if (!isRule(rule)) bad.push({ at, message: `there is no rule ${rule}${didYouMean(rule, lintRuleNames)}` })
    else if (reason === '')
      bad.push({
        at,
        message: `give a reason: \`-- pgbosun: allow ${rule} REASON\`; without one the comment has no effect`,
      })
    else allows.push({ rule, reason, at })
  }
  return { allows, bad }
}

const isRule = (name: string): name is LintRuleName => (lintRuleNames as readonly string[]).includes(name)
