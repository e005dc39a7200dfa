// pure
/** What a request asks for. `host`: only if the target names one (`GET http://host/path`). */
export type RequestTarget = { path: string; host?: string }

/**
 * Parses the target of a request, without the query. `..` and escapes are not resolved, because only exact paths are served.
 * Never throws; a target that is neither a path nor an http URL is taken as a path.
 */
export function readTarget(target: string): RequestTarget {
  const [bare = ''] = target.split(/[?#]/)
  const [, host, path] = /^https?:\/\/([^/]*)(.*)$/is.exec(bare) ?? []
  return host === undefined ? { path: bare } : { path: path || '/', host }
}
