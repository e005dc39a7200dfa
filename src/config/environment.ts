/** A snapshot of environment variables. */
export type Env = Readonly<Record<string, string | undefined>>

/**
 * Copies the environment of the process and removes libpq's variables from the original. The driver, and every child we start, would
 * read them on their own, whatever `connection.ts` has decided.
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

/** Variables that only the project's own scripts read. */
const ofScripts = /^PGBOSUN_(?:IMAGE|CONTAINERS|TEST_[A-Z_]+)$/

/** Whether a variable may be set although it is not one of ours. */
export const isIgnored = (name: string) => isServiceLink(name) || ofScripts.test(name)

/** How long `roles rotate` looks at the sessions; only tests change it. */
export const lookingMs = (env: Env): number => Number(env.PGBOSUN_TEST_LOOKING_MS ?? 60_000)

/** A port, or a message that says why the text is not one. */
export function readPort(text: string, name: string): number | string {
  if (/^tcp:\/\/[\d.a-f:[\]…]*$/i.test(text))
    return `${name} is ${text}: Kubernetes sets it like this for a Service of that name; set enableServiceLinks: false in the pod, or set the port yourself`
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (port > 0 && port < 65536) return port
  // A text that is not a number may be a piece of a password that was not escaped.
  return /^-?\d{1,9}$/.test(text) ? `${name} is not a port: ${text}` : `${name} is not a number`
}

/** The variables that name proxies. The lower-case ones come first, as everywhere. */
export const proxiesIn = (env: Env): Record<string, string | undefined> =>
  Object.fromEntries(
    ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'].map((name) => [name, env[name.toLowerCase()] || env[name] || undefined]),
  )
