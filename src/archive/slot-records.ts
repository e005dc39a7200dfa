// pure
/** `made`: in time. `late`: after the grace of its slot. `failed`: tried, and no backup came of it. `missed`: nobody tried. */
export const slotStates = ['made', 'late', 'failed', 'missed'] as const

/** What became of a slot, as it is stored and shown. */
export type SlotRecord = {
  /** RFC 3339, in UTC. */
  slot: string
  state: (typeof slotStates)[number]
  /** The backup that covers it, which may be deleted by now. */
  id: string | null
  size_bytes: number | null
  duration_ms: number | null
  /** Why it failed. */
  problem: string | null
}

/** The slots of a series. */
export type SlotSeries = {
  name: string
  /** One of `backup.schedules`. */
  schedule?: string | undefined
  /** Null while no backup tells of which server it is. */
  system_identifier: string | null
  /** The schedule that its newest slots are of, as it is written. */
  cron: string
  timezone: string
  slots: SlotRecord[]
}

/** `slots.json`. It is only shown: nothing is decided by it, and nothing proves that we wrote it. */
export type SlotsFile = { schema_version: 1; series: SlotSeries[] }

/** So many slots of each series are kept. */
export const mostSlots = 400

const ranks = { missed: 0, failed: 1, late: 2, made: 2 }

const isBetter = (one: SlotRecord, than: SlotRecord) =>
  ranks[one.state] > ranks[than.state] || (one.state === 'failed' && than.state === 'failed')

/** The newest slots of both, ascending. Of one slot a backup counts more than a failure, and that more than nothing. */
export function mergeSlots(before: readonly SlotRecord[], after: readonly SlotRecord[]): SlotRecord[] {
  const bySlot = new Map(before.map((record) => [record.slot, record]))
  for (const record of after) {
    const known = bySlot.get(record.slot)
    if (!known || isBetter(record, known)) bySlot.set(record.slot, record)
  }
  return [...bySlot.values()].sort((a, b) => (a.slot < b.slot ? -1 : 1)).slice(-mostSlots)
}

/** The file with what is known of one more series. */
export function withSeries({ series, ...file }: SlotsFile, added: SlotSeries): SlotsFile {
  const known = series.find((one) => isSame(one, added))
  const merged = { ...added, slots: mergeSlots(known?.slots ?? [], added.slots) }
  return { ...file, series: known ? series.map((one) => (one === known ? merged : one)) : [...series, merged] }
}

/**
 * Without slots that are still to come: a clock that was wrong, or something else, has written them, and they would take the place of
 * those that there were.
 */
export const until = ({ series, ...file }: SlotsFile, now: Date): SlotsFile => ({
  ...file,
  series: series.map((one) => ({ ...one, slots: one.slots.filter(({ slot }) => new Date(slot) <= now) })),
})

/** What both files know. */
export const mergeFiles = (before: SlotsFile, after: SlotsFile): SlotsFile => after.series.reduce(withSeries, before)

const isSame = (one: SlotSeries, other: SlotSeries) =>
  isOf(one, other.name, other.schedule) && one.system_identifier === other.system_identifier

const isOf = (series: SlotSeries, name: string, schedule: string | undefined) =>
  series.name === name && (series.schedule ?? '') === (schedule ?? '')

/** The slots of a schedule, of whatever server, and the schedule that the newest of them is of. */
export function slotsOf(
  { series }: SlotsFile,
  name: string,
  schedule: string,
): Pick<SlotSeries, 'slots'> & Partial<Pick<SlotSeries, 'cron' | 'timezone'>> {
  const found = series
    .filter((one) => isOf(one, name, schedule) && one.slots.length > 0)
    .sort((a, b) => (a.slots.at(-1)!.slot < b.slots.at(-1)!.slot ? -1 : 1))
  const newest = found.at(-1)
  return {
    slots: found.map(({ slots }) => slots).reduce(mergeSlots, []),
    ...(newest && { cron: newest.cron, timezone: newest.timezone }),
  }
}
