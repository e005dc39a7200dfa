// pure
import type { Env } from './environment.ts'

/** What rclone and the clouds' own credentials are named by; nothing of the database is among them. */
const wanted = /^(PATH|HOME|LANG|TZ|XDG_CONFIG_HOME|RCLONE_\w+|(AWS|AZURE|GOOGLE|GCE|SSH)_\w+|(https?|no|all)_proxy)$/i

/** The part of our environment that rclone gets. */
export const rcloneEnvironment = (env: Env): Record<string, string> =>
  Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => (value !== undefined && wanted.test(name) ? [[name, value]] : [])),
  )
