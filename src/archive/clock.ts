// pure
/** Clocks of machines that work together differ by less. */
export const clockErrorMs = 300_000

/** When a backup was started, by the clock of the machine that made it, and by that of the server where it is known. */
export type Clocks = { startedAt: Date; serverTime: Date | undefined }

/**
 * The one instant that backups are ordered and their age is told by. All who make backups of a database see the same server's
 * clock, and each has one of its own; only where the server's is ahead of the present is that of the maker taken.
 */
export const takenAt = ({ startedAt, serverTime }: Clocks, now: Date): Date =>
  serverTime !== undefined && serverTime.getTime() <= now.getTime() + clockErrorMs ? serverTime : startedAt

/** Whether a backup says that it starts in the future: such a one is used only when it is named, and never counts as the newest. */
export const isFromFuture = ({ startedAt }: Pick<Clocks, 'startedAt'>, now: Date): boolean =>
  startedAt.getTime() > now.getTime() + clockErrorMs
