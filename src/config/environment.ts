/** A snapshot of environment variables. */
export type Env = Readonly<Record<string, string | undefined>>

/**
 * Takes the environment of the process and removes libpq's variables from it: the driver, and every child we start,
 * would read them by themselves, behind the back of the one decision made in `connection.ts`.
 */
export function takeEnvironment(): Env {
  const env = { ...process.env }
  for (const name of Object.keys(process.env)) if (/^PG[A-Z]+$/.test(name)) delete process.env[name]
  return env
}

/** What Kubernetes puts into every pod for a Service whose name begins with `pgbosun`. */
const serviceLink =
  /^PGBOSUN_(?:[A-Z0-9_]+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_\w+)?)?)$/

/** Whether a variable was injected by Kubernetes for a Service. */
const isServiceLink = (name: string) => serviceLink.test(name)

/** What only the project's own scripts once read. */
const ofScripts = /^PGBOSUN_(?:IMAGE|CONTAINERS|TEST_[A-Z_]+)$/

/** Whether a variable may be there although it is none of ours. */
export const isIgnored = (name: string) => isServiceLink(name) || ofScripts.test(name)

/** A port, or the reason why it is none. */
export function readPort(text: string, name: string): number | string {
  if (/^tcp:\/\/[\d.a-f:[\]…]*$/i.test(text))
    return `${name} is ${text}: Kubernetes sets it like this for a Service of that name; set enableServiceLinks: false in the pod, or set the port yourself`
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (port > 0 && port < 65536) return port
  // What is no number may be a piece of a password that was not escaped.
  return /^-?\d{1,9}$/.test(text) ? `${name} is not a port: ${text}` : `${name} is not a number`
}

/** Whether a text is a URL, or a piece of one that has a password in it. What is more than a path or a name is never shown. */
export const looksLikeUrl = (text: string) => /:\/\/|:.*@/s.test(text)
