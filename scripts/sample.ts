/** The sample application as the quick start, the build and the benchmarks run it. */
import { join } from 'node:path'

/** The database that scripts/quickstart.yaml declares. */
export const sampleDatabase = 'games'

/** Flags that select the sample's configuration. */
export const sampleArgs = ['--config', join(import.meta.dirname, 'quickstart.yaml')]

/** Passwords of the sample's users. */
export const samplePasswords = { games_app: 'correct horse battery staple', games_report: 'only looking' }

/** Our environment without anything that pgbosun would take for configuration. */
export function cleanEnv(): NodeJS.ProcessEnv {
  const settings = /^(PGBOSUN_|PG[A-Z]+$|POSTGRES_|DATABASE_URL)/
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !settings.test(name)))
}

/** The environment of a run of the sample against a server. */
export const sampleEnv = (url: string): NodeJS.ProcessEnv => ({
  ...cleanEnv(),
  DATABASE_URL: url,
  GAMES_APP_PASSWORD: samplePasswords.games_app,
  GAMES_REPORT_PASSWORD: samplePasswords.games_report,
})
