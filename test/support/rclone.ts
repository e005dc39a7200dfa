import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

/** The folder of rclone; undefined where it cannot be had, which is said in a line. */
export const rcloneFolder: string | undefined = (() => {
  try {
    return execFileSync('bash', [join(import.meta.dirname, '../../scripts/rclone.sh')], { encoding: 'utf8' }).trim()
  } catch (error) {
    console.warn(`NOT RUN: the tests with the program rclone: ${String((error as { stderr?: unknown }).stderr).trim()}`)
    return undefined
  }
})()

/**
 * Two remotes of rclone by its variables, so that no file is needed: `disk` is the file system, `vault` the folder `root`, where names
 * and contents are encrypted.
 */
export function rcloneRemotes(root: string): Record<string, string> {
  const obscured = execFileSync(join(rcloneFolder!, 'rclone'), ['obscure', 'only for a test'], { encoding: 'utf8' })
  return {
    PATH: `${rcloneFolder}:${process.env.PATH}`,
    RCLONE_CONFIG: '/nonexistent',
    RCLONE_CONFIG_DISK_TYPE: 'local',
    RCLONE_CONFIG_VAULT_TYPE: 'crypt',
    RCLONE_CONFIG_VAULT_REMOTE: `disk:${root}`,
    RCLONE_CONFIG_VAULT_PASSWORD: obscured.trim(),
  }
}
