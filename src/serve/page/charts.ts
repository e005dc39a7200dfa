// pure
import type { SlotRecord } from '../../archive/slot-records.ts'
import { utc } from '../../check/instants.ts'
import { shownSlots } from '../../check/overview.ts'
import { counted, renderBytes, seconds } from '../../units.ts'
import { type Html, html } from './html.ts'

const step = 10
const height = 30

/** A shape for each state, so that nobody has to tell colours apart. */
const shapes: Record<SlotRecord['state'], { y: number; height: number }> = {
  made: { y: 2, height: 26 },
  late: { y: 10, height: 18 },
  failed: { y: 20, height: 8 },
  missed: { y: 20, height: 8 },
}

/** One mark for each of the last slots of a series, the newest at the right. */
export function strip(slots: readonly SlotRecord[]): Html {
  const marks = slots.map(
    ({ slot, state, problem }, i) =>
      html`<rect class="${state}" x="${i * step + 1}" y="${shapes[state].y}" width="${step - 2}" height="${shapes[state].height}"><title>${utc(slot)}: ${state}${problem ? `, ${problem}` : ''}</title></rect>`,
  )
  return picture(`the last ${counted(slots.length, 'slot')}: ${tally(slots)}`, marks)
}

/** `28 made, 1 late, 1 failed`. */
export const tally = (slots: readonly SlotRecord[]): string =>
  (['made', 'late', 'failed', 'missed'] as const)
    .map((state) => ({ state, count: slots.filter((slot) => slot.state === state).length }))
    .filter(({ count }) => count > 0)
    .map(({ state, count }) => `${count} ${state}`)
    .join(', ')

/** Bars for the sizes of the backups of the slots. */
export const sizes = (slots: readonly SlotRecord[]): Html => bars('size', slots, 'size_bytes', renderBytes)

/** Bars for how long they took. */
export const durations = (slots: readonly SlotRecord[]): Html => bars('duration', slots, 'duration_ms', seconds)

function bars(
  what: string,
  slots: readonly SlotRecord[],
  field: 'size_bytes' | 'duration_ms',
  render: (value: number) => string,
): Html {
  const values = slots.map((slot) => slot[field])
  const known = values.filter((value) => value !== null)
  if (known.length === 0) return html``
  const most = Math.max(...known, 1)
  const text = `${what}: the newest ${render(known.at(-1)!)}, at least ${render(Math.min(...known))}, at most ${render(most)}`
  const marks = values.map((value, i) => {
    if (value === null) return html``
    const tall = Math.max(1, (value / most) * (height - 4))
    return html`<rect class="bar" x="${i * step + 1}" y="${height - 2 - tall}" width="${step - 2}" height="${tall}"><title>${utc(slots[i]!.slot)}: ${render(value)}</title></rect>`
  })
  return html`<p class="dim">${text}</p>${picture(text, marks)}`
}

const picture = (label: string, marks: readonly Html[]) =>
  html`<svg viewBox="0 0 ${shownSlots * step} ${height}" preserveAspectRatio="none" role="img" aria-label="${label}">${marks}</svg>`
