// pure
import type { Rewrite } from './types.ts'

/** How a file of our own format asks to run outside a transaction. */
const ownDirective = '-- pgbosun: no-transaction'

/** A safe way as SQL: comments separate several files, and a file that runs outside a transaction starts with the directive. */
export function renderRewrite(files: Rewrite, outside = ownDirective): string {
  return files
    .map(({ sql, outside: isOutside }, i) => {
      const head = files.length > 1 ? [`-- file ${i + 1} of ${files.length}`] : []
      return [...head, ...(isOutside ? [outside] : []), sql].join('\n')
    })
    .join('\n')
}
