// pure
import type { Env } from './environment.ts'

/** What rclone and the clouds' own credentials are named by; nothing of the database is among them. */
const wanted =
  /^(PATH|HOME|USER|TMPDIR|LANG|TZ|XDG_(CONFIG|CACHE)_HOME|SSL_CERT_(FILE|DIR)|RCLONE_\w+|(AWS|AZURE|GOOGLE|GCE|SSH)_\w+|(https?|no|all)_proxy)$/i

/** Options of every command that show only a part of a remote: it would look as if backups were gone. */
const hiding =
  'MAX_DEPTH|(MIN|MAX)_(AGE|SIZE)|HASH_FILTER|(METADATA_)?(FILTER|INCLUDE|EXCLUDE)(_\\w+)?|FILES_FROM(_RAW)?|IGNORE_CASE'

/** Those with which a command succeeds and does nothing, or something else, or asks. */
const pretending =
  'DRY_RUN|INTERACTIVE|IMMUTABLE|IGNORE_\\w+|UPDATE|SIZE_ONLY|NO_CHECK_DEST|(COMPARE|COPY)_DEST|BACKUP_DIR|SUFFIX|ERROR_ON_NO_TRANSFER|MAX_(TRANSFER|DURATION|DELETE|DELETE_SIZE)|CUTOFF_MODE|RC(_\\w+)?'

/** Those of what it writes where: rclone refuses `VERBOSE` beside our own log level, and `DUMP` shows credentials. */
const talking = 'VERBOSE|QUIET|LOG_\\w+|SYSLOG(_\\w+)?|USE_JSON_LOG|PROGRESS(_\\w+)?|STATS(_\\w+)?|DUMP(_\\w+)?'

const unwanted = new RegExp(`^RCLONE_(${hiding}|${pretending}|${talking})$`, 'i')

/** With a wrong password, an encrypted remote would have no names, and look empty. Old versions of rclone do not know this. */
const strict = { RCLONE_CRYPT_STRICT_NAMES: 'true' }

/** The part of our environment that rclone gets: how the remotes are reached, and nothing that changes what a command does. */
export const rcloneEnvironment = (env: Env): Record<string, string> => ({
  ...strict,
  ...Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) =>
      value !== undefined && wanted.test(name) && !unwanted.test(name) ? [[name, value]] : [],
    ),
  ),
})
