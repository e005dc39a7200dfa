import type { Env } from './environment.ts'

/** The sources of a connection in the environment, the first one first, with the variables that select them. */
const selecting = {
  DATABASE_URL: ['DATABASE_URL', 'DATABASE_URL_FILE'],
  PGHOST: ['PGHOST', 'PGHOSTADDR', 'PGUSER', 'PGDATABASE', 'PGSERVICE'],
  POSTGRES_HOST: ['POSTGRES_HOST', 'POSTGRES_USER', 'POSTGRES_DB'],
  INIT_POSTGRES_HOST: ['HOST', 'USER', 'DBNAME'].flatMap((name) => [
    `INIT_POSTGRES_${name}`,
    `INIT_POSTGRES_${name}_FILE`,
  ]),
}

export type EnvironmentSource = keyof typeof selecting

/** Which of them counts, where the configuration has no URL. */
export const sourceIn = (env: Env): EnvironmentSource | undefined =>
  (Object.keys(selecting) as EnvironmentSource[]).find((source) => selecting[source].some((name) => env[name]))
