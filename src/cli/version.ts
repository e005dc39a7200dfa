declare const PGBOSUN_VERSION: string | undefined

/** Version of the program; the build puts it in. */
export const version = typeof PGBOSUN_VERSION === 'string' ? PGBOSUN_VERSION : '0.0.0-source'
