import { readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { usage } from '../../errors.ts'
import { replaceFile } from '../../machine/replace-file.ts'
import type { Context } from '../../run/context.ts'
import { visibleJson } from '../../text.ts'
import { parsePlan, type ReviewedPlan } from './document.ts'

/** 256 MiB: more than the plan of a hundred thousand objects, and less than what a string can hold. */
const mostBytes = 268_435_456

/**
 * Writes a plan for people to review, in place of an existing file.
 * @returns its full path
 * @throws {AppError} `usage` when it cannot be written
 */
export async function writePlan({ out }: Context, path: string, plan: ReviewedPlan): Promise<string> {
  const full = resolve(path)
  if (plan.system_identifier === null)
    out.warn('this user may not read the identifier of the server, so the plan is not bound to this server')
  await replaceFile(full, `${visibleJson(JSON.stringify(plan, null, 2))}\n`)
  return full
}

/** Reads a plan that was reviewed. @throws {AppError} `usage` when there is none, or it is not one that this pgbosun reads */
export function readPlan(path: string): ReviewedPlan {
  const full = resolve(path)
  const parsed = parsePlan(readText(full))
  if (typeof parsed === 'string')
    throw usage(`${full} ${parsed}`, { hint: 'make a new one with `pgbosun plan --out FILE`', file: full })
  return parsed
}

function readText(path: string): string {
  try {
    const { size } = statSync(path)
    if (size > mostBytes)
      throw usage(`${path} is too large for a plan: ${size} bytes`, { hint: 'name the file that `plan --out` wrote' })
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const { syscall, code = '' } = cause as NodeJS.ErrnoException
    if (syscall === undefined) throw cause
    const problem = { ENOENT: 'does not exist', EISDIR: 'is a folder' }[code] ?? `cannot be read (${code})`
    throw usage(`the plan ${path} ${problem}`, { hint: 'name the file that `pgbosun plan --out FILE` wrote', cause })
  }
}
