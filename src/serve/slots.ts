import type { Catalog } from '../archive/catalog-type.ts'
import { eachOf } from '../archive/several.ts'
import { mergeFiles, type SlotRecord, type SlotsFile, slotsOf, until, withSeries } from '../archive/slot-records.ts'
import { noSlots, readSlots, writeSlots } from '../archive/slots.ts'
import { goodBackups, ofName, ofSchedule } from '../backup/facts.ts'
import type { Schedule } from '../backup/schedule.ts'
import { judgeSlots } from '../backup/slots.ts'
import { graceMs } from '../check/backups.ts'
import { shownSlots } from '../check/overview.ts'
import type { Log } from '../log.ts'

/** The slot that this process has tried last, and why there is no backup for it. */
export type FailedSlot = { slot: Date; problem: string }

/** Keeps the record of what became of the slots, in each database's `slots.json`. */
export type SlotKeeper = {
  /**
   * Writes what has become of slots since it was last asked; asks the store for nothing where nothing has. Never rejects: a store that
   * does not let it is reported.
   *
   * @returns the newest thirty, ascending
   */
  note(database: string, schedule: Schedule, failed?: FailedSlot): Promise<SlotRecord[]>
  /** What is recorded already, by whichever process: the newest thirty, ascending. Never rejects. */
  recall(database: string, schedule: Schedule): Promise<SlotRecord[]>
}

/** So much of a message is kept. */
const longestProblem = 500

/** @param catalog the store, and what is known of it and the others: by that, slots are judged */
export function keepSlots(
  catalog: Pick<Catalog, 'known' | 'store'>,
  name: string,
  { log, now }: { log: Log; now(): Date },
): SlotKeeper {
  const files = new Map<string, SlotsFile>()
  const told = new Map<string, string>()
  const tell = (database: string, problem: string, message: string) => {
    if (told.get(database) === problem) return
    told.set(database, problem)
    log.warn({ database, problem }, message)
  }

  /** Another machine's clock may be a little ahead. */
  const latest = () => new Date(now().getTime() + graceMs)

  const read = async (database: string) => {
    const found = await readSlots(catalog.store, database)
    if (found.newer) tell(database, found.problem!, 'slots.json is left as it is, and the slots are not recorded')
    else if (found.problem) tell(database, found.problem, 'slots.json is damaged or not ours: it is started again')
    return found
  }

  const recordsOf = (database: string, schedule: Schedule, file: SlotsFile, failed: FailedSlot | undefined) => {
    const backups = ofSchedule(ofName(catalog.known(database), name), schedule.name)
    const slots = judgeSlots({
      schedule,
      backups: goodBackups(backups, now()),
      recorded: slotsOf(file, name, schedule.name),
      failed: failed && { slot: failed.slot, problem: failed.problem.slice(0, longestProblem) },
      graceMs,
      now: now(),
    })
    return {
      name,
      ...(schedule.name !== '' && { schedule: schedule.name }),
      system_identifier: backups.at(-1)?.series?.system_identifier ?? null,
      cron: schedule.text,
      timezone: schedule.zone,
      slots,
    }
  }

  const fileOf = async (database: string) => {
    const known = until(files.get(database) ?? (await read(database)).file, latest())
    files.set(database, known)
    return known
  }

  const shown = (database: string, schedule: Schedule) =>
    slotsOf(files.get(database) ?? noSlots, name, schedule.name).slots.slice(-shownSlots)

  const note = async (database: string, schedule: Schedule, failed: FailedSlot | undefined) => {
    const known = await fileOf(database)
    const records = recordsOf(database, schedule, known, failed)
    if (records.slots.length === 0) return
    const after = withSeries(known, records)
    if (isSame(slotsOf(known, name, schedule.name), slotsOf(after, name, schedule.name))) return
    files.set(database, after)
    // another process may have written since
    const { file, newer } = await read(database)
    const merged = mergeFiles(until(file, latest()), after)
    if (newer || isSame(file, merged)) return
    files.set(database, merged)
    await writeSlots(catalog.store, database, merged)
    told.delete(database)
  }

  return {
    async note(database, schedule, failed) {
      try {
        await note(database, schedule, failed)
      } catch (error) {
        tell(database, (error as Error).message, 'could not record what became of the slots in the store')
      }
      return shown(database, schedule)
    },
    async recall(database, schedule) {
      await fileOf(database).catch((error: Error) =>
        tell(database, error.message, 'could not read what became of the slots from the store'),
      )
      return shown(database, schedule)
    },
  }
}

/** The same in each of several stores. */
export function keepSlotsInEach(
  { known, store }: Catalog,
  name: string,
  options: { log: Log; now(): Date },
): SlotKeeper {
  const keepers = eachOf(store).map((one) => keepSlots({ known, store: one }, name, options))
  /** One that cannot be read tells nothing. */
  const longest = async (ask: (keeper: SlotKeeper) => Promise<SlotRecord[]>) => {
    const found: SlotRecord[][] = []
    for (const keeper of keepers) found.push(await ask(keeper))
    return found.reduce((best, one) => (one.length > best.length ? one : best))
  }
  return {
    note: (...asked) => longest((keeper) => keeper.note(...asked)),
    recall: (...asked) => longest((keeper) => keeper.recall(...asked)),
  }
}

const isSame = (one: unknown, other: unknown) => JSON.stringify(one) === JSON.stringify(other)
