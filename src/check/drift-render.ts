// pure
import { visible } from '../text.ts'
import type { Difference, Drift, Severity } from './drift.ts'
import { diffLines } from './drift-lines.ts'
import { isSameButLineEndings } from './drift-text.ts'

/**
 * Lines for people: one for each object, and below it what differs, `-` as declared and `+` as found. Long definitions are shown as a diff.
 * Empty when there is no drift.
 */
export function renderDrift(drifts: Drift[]): string[] {
  const legend = drifts.some(({ state }) => state === 'different') ? ['- as declared, + in the live database'] : []
  return [
    ...legend,
    ...drifts.flatMap(({ state, kind, name, severity, differences }) => {
      const width = Math.max(...differences.map(({ what }) => visible(what).length))
      return [
        `${state.padEnd(10)}  ${kind} ${visible(name)}${mark(severity)}`,
        ...differences.flatMap((difference) => renderDifference(difference, width, severity)),
      ]
    }),
  ]
}

/** The same for programs. `ok`: no errors; notes do not matter. */
export const driftJson = (drifts: Drift[]) => ({
  ok: drifts.every(({ severity }) => severity === 'note'),
  error_count: drifts.filter(({ severity }) => severity === 'error').length,
  note_count: drifts.filter(({ severity }) => severity === 'note').length,
  objects: drifts.map(({ state, kind, name, severity, differences }) => ({
    state,
    kind,
    name,
    severity,
    differences: differences.map(({ what, declared, live, severity }) => ({ what, declared, live, severity })),
  })),
})

/** If the whole object is a note, its differences are not marked. */
function renderDifference({ what, declared, live, severity }: Difference, width: number, around: Severity): string[] {
  const marked = around === severity ? '' : mark(severity)
  if (isSameButLineEndings(declared, live)) return [`    ${visible(what)}: only the line endings differ${marked}`]
  if ([declared, live].some((text) => text?.includes('\n')))
    return [`    ${visible(what)}${marked}`, ...renderLines(declared, live)]
  const line = (sign: string, text: string | null) =>
    text === null ? [] : [`  ${sign} ${visible(what).padEnd(width)}  ${visible(text)}${marked}`]
  return [...line('-', declared), ...line('+', live)]
}

const renderLines = (declared: string | null, live: string | null) =>
  diffLines(linesOf(declared), linesOf(live)).map(({ sign, text }) => `      ${sign} ${visible(text)}`.trimEnd())

const linesOf = (text: string | null) => text?.split(/\r\n?|\n/) ?? []

const mark = (severity: Severity) => (severity === 'note' ? '  (note)' : '')
