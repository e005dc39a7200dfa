import type { Cluster, Link } from '../cluster.ts'

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
