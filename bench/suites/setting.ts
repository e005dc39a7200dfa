import { type Cluster, type Link, withLatency } from '../cluster.ts'

/** What a race is set up with. */
export type Setting = {
  cluster: Cluster
  /** A folder for files. */
  dir: string
  /** Builds of pgbosun; the first is this checkout's. */
  builds: { name: string; program: string }[]
  /** The proxy to connect through; without one, the server itself. */
  link: Link | undefined
}

/** `title`, or `title, 5.3 ms of latency`. */
export const titleWith = (title: string, link: Link | undefined) =>
  link === undefined ? title : `${title}, ${link.roundTripMs.toFixed(1)} ms for a round trip`

/** So long that what the client computes does not count. */
const farMs = 100

/** How many round trips a run takes, as a sentence. @param run gets the way to connect */
export async function roundTripsOf(name: string, cluster: Cluster, run: (link: Link) => Promise<unknown>) {
  let sentence = ''
  await withLatency(cluster, farMs, async (link) => {
    await run(link)
    const { roundTrips, longestChain } = await link.taken()
    sentence = `${name}: ${longestChain} round trips on the longest chain, ${roundTrips.join(' and ')} of its sessions (the first three of each log in).`
  })
  return sentence
}
