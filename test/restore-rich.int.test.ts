import { describe, expect } from 'vitest'
import { quoteIdent } from '../src/sql/quote.ts'
import { client } from './support/backup.ts'
import { type App, type Cluster, test } from './support/chaos.ts'
import { server, uniqueName } from './support/postgres.ts'
import { everything, richApp } from './support/rich.ts'
import { expectGood } from './support/swap.ts'

/** Its backups are made by a user with the preset, which `roles apply` creates. */
async function backedUpByPreset(cluster: Cluster, app: App): Promise<void> {
  const keeper = uniqueName('keeper')
  const config = {
    database: { url: { env: 'DATABASE_URL' } },
    users: { [keeper]: { preset: 'backup', password: { env: 'PW_RO' } } },
    databases: { [app.database]: { owner: 'postgres' } },
    backup: { store: `file://${app.cwd}/store`, url: { file: 'keeper' } },
  }
  const keeperUrl = new URL(cluster.url(app.database))
  keeperUrl.username = keeper
  keeperUrl.password = 'read only'
  await app.write({ 'pgbosun.yaml': JSON.stringify(config), keeper: keeperUrl.href })
  expectGood(await app.run('roles', 'apply'))
}

// before 14 there is no role that may read everything
describe.skipIf(!client || server().major < 14)('one of everything, backed up by a user with preset backup', () => {
  for (const inPlace of [false, true])
    test(`is the same after a restore ${inPlace ? 'in place' : 'into a new database'}, as pg_dump sees it`, {
      timeout: 180_000,
    }, async ({ cluster, makeApp }) => {
      const { app, reader } = await richApp(cluster, makeApp)
      await backedUpByPreset(cluster, app)
      const before = await everything(cluster, app.database)
      const backup = await app.runJson('backup')
      expect(backup.code, backup.stderr).toBe(0)
      const warned = `the user mapping ${reader} on elsewhere is backed up without its options, which only a superuser sees`
      expect(backup.json.warnings).toContain(`${app.database}: ${warned}`)
      const into = inPlace ? app.database : uniqueName('copy')
      if (inPlace) await cluster.ask('drop schema app cascade', app.database)
      const how = inPlace ? ['--in-place', '--replace', into] : ['--into', into, '--yes']
      const { code, json, stderr } = await app.runJson('restore', 'latest', ...how)
      expect(code, stderr).toBe(0)
      expect(json).toMatchObject({ differences: [], not_compared: [] })
      const again = `when backup ${backup.json.id} was made: ${warned}`
      expect((json.warnings as string[]).filter((one) => one === again)).toHaveLength(1)
      const after = await everything(cluster, into)
      expect(after.dump).toBe(before.dump.replace(/ OPTIONS \(\n {4}"user" 'u'\n\);/, ';'))
      expect(after.properties).toEqual(before.properties)
      if (!inPlace) await cluster.ask(`drop database ${quoteIdent(into)}`)
    })
})
