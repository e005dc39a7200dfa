// pure
import type { Backup } from '../archive/backup.ts'
import { mostSlots, type SlotRecord } from '../archive/slot-records.ts'
import { lookBackMs, newestSlots, type Schedule } from './schedule.ts'

/** What is known of the slots of one series. */
export type SlotFacts = {
  schedule: Schedule
  /** Good backups of the series, oldest first. */
  backups: Backup[]
  /** What was recorded before, and of which schedule that was. */
  recorded: { slots: readonly SlotRecord[]; cron?: string; timezone?: string }
  /** The slot that this process has tried and not made. */
  failed: { slot: Date; problem: string } | undefined
  /** How long after its slot a backup is not late. */
  graceMs: number
  now: Date
}

/**
 * What became of the slots since the last one that was recorded, and of that. Of a slot that may still be made, nothing is said. Without
 * a record, it begins with the backups that are there. Where the schedule was another one, nobody knows which slots there were.
 */
export function judgeSlots(facts: SlotFacts): SlotRecord[] {
  const { backups, failed } = facts
  const slots = slotsToJudge(facts)
  return slots.flatMap((slot, i): SlotRecord[] => {
    const next = slots[i + 1]
    const at = slot.toISOString()
    const nothing = { id: null, size_bytes: null, duration_ms: null, problem: null }
    const backup =
      backups.find((one) => one.slot?.getTime() === slot.getTime()) ??
      backups.find(({ takenAt }) => takenAt >= slot && (!next || takenAt < next))
    if (backup) return [{ slot: at, state: stateOf(backup, slot, facts), ...fieldsOf(backup) }]
    if (failed?.slot.getTime() === slot.getTime())
      return [{ slot: at, state: 'failed', ...nothing, problem: failed.problem }]
    return next ? [{ slot: at, state: 'missed', ...nothing }] : []
  })
}

function slotsToJudge({ schedule, backups, recorded, now }: SlotFacts): Date[] {
  const { cron, zone } = schedule
  const after = (instant: Date) => newestSlots(cron, zone, new Date(instant.getTime() - 1), now, mostSlots)
  const newest = () => newestSlots(cron, zone, new Date(now.getTime() - lookBackMs), now, 1)
  const last = recorded.slots.findLast(({ slot }) => new Date(slot) <= now)
  if (last) {
    const isSame = recorded.cron === schedule.text && recorded.timezone === zone
    return isSame ? after(new Date(last.slot)) : newest()
  }
  const made = backups.flatMap(({ slot }) => (slot && slot <= now ? [slot] : [])).slice(-mostSlots)
  return unique([...made, ...(made.length > 0 ? after(made.at(-1)!) : newest())])
}

const unique = (instants: Date[]) =>
  [...new Set(instants.map((instant) => instant.getTime()))].sort((a, b) => a - b).map((instant) => new Date(instant))

function stateOf({ takenAt, durationMs = 0 }: Backup, slot: Date, { schedule, graceMs }: SlotFacts): 'made' | 'late' {
  const tookMs = takenAt.getTime() + durationMs - slot.getTime()
  return tookMs > graceMs + schedule.jitterMs ? 'late' : 'made'
}

const fieldsOf = ({ id, sizeBytes, durationMs }: Backup) => ({
  id,
  size_bytes: sizeBytes ?? null,
  duration_ms: durationMs ?? null,
  problem: null,
})
