// pure
/** Largest difference between the clocks of machines that is not treated as an error. */
export const clockErrorMs = 300_000

/** When a backup was started, by the clock of the machine that made it, and by the server's clock if that is known. */
export type Clocks = { startedAt: Date; serverTime: Date | undefined }

/** When the server was as it is in the backup, by its clock: of a standby, what it had replayed. Undefined where a manifest does not say. */
export function contentTime({
  server_time,
  standby,
}: {
  server_time?: string | null | undefined
  standby?: { replayed_at: string } | undefined
}): Date | undefined {
  if (server_time == null) return undefined
  const [time, replayed] = [new Date(server_time), standby && new Date(standby.replayed_at)]
  return replayed && replayed < time ? replayed : time
}

/**
 * The instant for the order and the age of a backup. Machines that back up the same database have different clocks, but see the same
 * clock of the server. So that one is used, unless it is ahead of the present.
 */
export const takenAt = ({ startedAt, serverTime }: Clocks, now: Date): Date =>
  serverTime !== undefined && serverTime.getTime() <= now.getTime() + clockErrorMs ? serverTime : startedAt

/** Whether a backup is dated in the future. Such a backup is only used by its id, and never counts as the newest. */
export const isFromFuture = ({ startedAt }: Pick<Clocks, 'startedAt'>, now: Date): boolean =>
  startedAt.getTime() > now.getTime() + clockErrorMs
