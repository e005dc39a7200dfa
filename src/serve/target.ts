// pure
/** What a request asks for: `host` only where the target names one (`GET http://host/path`). */
export type RequestTarget = { path: string; host?: string }

/**
 * Takes the target of a request apart, without the query, and without making anything of `..` and escapes: only exact paths
 * are known here. Never throws; what is neither a path nor an address of http has the path it is.
 */
export function readTarget(target: string): RequestTarget {
  const [bare = ''] = target.split(/[?#]/)
  const [, host, path] = /^https?:\/\/([^/]*)(.*)$/is.exec(bare) ?? []
  return host === undefined ? { path: bare } : { path: path || '/', host }
}
