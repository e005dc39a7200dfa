import { copyFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { finished, folder, type Source, succeed, type Tool } from './tool.ts'

const source = join(import.meta.dirname, '..', '..', 'tools', 'flyway')
const pom = readFileSync(join(source, 'pom.xml'), 'utf8')

/** Flyway's engine from Maven, and a class of ours that calls it. */
export const flywayCore: Source = {
  name: `Flyway ${/<artifactId>flyway-database-postgresql<\/artifactId>\s*<version>(.*)<\/version>/.exec(pom)?.[1]}`,
  full: true,
  key: pom + readFileSync(join(source, 'RunFlyway.java'), 'utf8'),
  async fill(dir) {
    for (const file of ['pom.xml', 'RunFlyway.java']) copyFileSync(join(source, file), join(dir, file))
    await succeed('mvn', ['-B', '-q', 'dependency:copy-dependencies', '-DoutputDirectory=lib'], dir)
    await succeed('javac', ['-cp', 'lib/*', 'RunFlyway.java'], dir)
  },
  tools: (dir) => [flyway(dir)],
}

const flyway = (dir: string): Tool => ({
  format: 'flyway',
  run(args, { cwd, url }) {
    const { host, pathname, username, password } = new URL(url)
    return finished('java', ['-XX:TieredStopAtLevel=1', '-cp', `${dir}:${dir}/lib/*`, 'RunFlyway', ...args], {
      cwd,
      env: {
        LC_ALL: 'C.UTF-8', // names of files are not ASCII
        JDBC_URL: `jdbc:postgresql://${host}${pathname}`,
        JDBC_USER: decodeURIComponent(username),
        JDBC_PASSWORD: decodeURIComponent(password),
      },
    })
  },
  up: ['migrate'],
  nothing: /is up to date. No migration necessary/,
  files: (parts) => folder(parts, ({ up }, n) => ({ [`V${n}__a_part.sql`]: `${up}\n` })),
  title: (n) => `V${n}__a_part`,
  history: `select installed_rank, version, description, type, script, checksum, installed_by, success
              from flyway_schema_history order by installed_rank`,
})
