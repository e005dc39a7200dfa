/** The sample application, as the quick start, the build and the benchmarks run it. */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** The database that scripts/quickstart.yaml declares. */
export const sampleDatabase = 'games'

/** Flags that select the sample's configuration. */
export const sampleArgs = ['--config', join(import.meta.dirname, 'quickstart.yaml')]

/** Passwords of the sample's users. */
export const samplePasswords = {
  games_app: 'correct horse battery staple',
  games_report: 'only looking',
  games_backup: 'reads everything',
}

/** Our environment without anything that pgbosun would read as configuration. */
export function cleanEnv(): Record<string, string> {
  const settings = /^(PGBOSUN_|PG[A-Z]+$|POSTGRES_|DATABASE_URL)/
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value === undefined || settings.test(name) ? [] : [[name, value]],
    ),
  )
}

/** The URL of a database as another user. */
export function urlAs(url: string, user: keyof typeof samplePasswords): string {
  const other = new URL(url)
  other.username = user
  other.password = encodeURIComponent(samplePasswords[user])
  return other.href
}

/**
 * The environment of a run of the sample against a server.
 * @param url of the target database, as the superuser
 * @param store folder for backups
 */
export const sampleEnv = (url: string, store = join(tmpdir(), 'pgbosun-sample-backups')): Record<string, string> => ({
  ...cleanEnv(),
  DATABASE_URL: url,
  GAMES_APP_PASSWORD: samplePasswords.games_app,
  GAMES_REPORT_PASSWORD: samplePasswords.games_report,
  GAMES_BACKUP_PASSWORD: samplePasswords.games_backup,
  BACKUP_URL: urlAs(url, 'games_backup'),
  PGBOSUN_BACKUP_STORE: pathToFileURL(store).href,
})
