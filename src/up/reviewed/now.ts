import { createHash } from 'node:crypto'
import type { Config } from '../../config/schema.ts'
import { readSystemIdentifier } from '../../postgres/system.ts'
import type { Context } from '../../run/context.ts'
import type { Run } from '../../run/run.ts'
import type { Story } from '../../run/story.ts'
import type { Seed } from '../../seed/types.ts'
import type { Planned } from '../story-of-plan.ts'
import type { MigrateTarget } from '../target.ts'
import { planVersion, type ReviewedPlan, reviewedChange } from './document.ts'

/** What was just planned, with everything that a review binds it to. */
export async function reviewedPlan(
  { context, cluster }: Run,
  {
    targets,
    seeds,
    story,
    planned,
    at,
  }: { targets: MigrateTarget[]; seeds: Seed[]; story: Story; planned: Planned; at: Date },
): Promise<ReviewedPlan> {
  const deferred = new Set(story.steps.filter(({ state }) => state === 'deferred').map(({ name }) => name))
  return {
    schema_version: planVersion,
    pgbosun_version: context.version,
    planned_at: at.toISOString(),
    system_identifier: (await readSystemIdentifier(cluster.sql)) ?? null,
    database: context.connection().database,
    server_major: Math.floor(cluster.serverVersion / 10_000),
    configuration_sha256: configurationOf(context),
    migrations: targets.flatMap(({ database, folder }) =>
      (folder?.files ?? []).map(({ name, sha256 }) => ({ ...(database !== undefined && { database }), name, sha256 })),
    ),
    seeds: seeds.map(({ name, checksum = '' }) => ({ name, sha256: checksum })),
    steps: [...planned.items].map(([name, items]) => ({
      name,
      deferred: deferred.has(name),
      changes: items.map(reviewedChange),
    })),
  }
}

/**
 * sha256 of what decides about changes that the plan does not show yet: privileges on what migrations will create, and who runs them.
 * Where a password comes from is left out, and where files lie: another machine may have them elsewhere.
 */
function configurationOf({ loaded: { config }, connection }: Context): string {
  const { roles, manage } = config
  const databases = mapValues(config.databases, (database) => ({
    ...database,
    users: mapValues(database?.users ?? {}, withoutPassword),
    migrate: database?.migrate && howRun(database.migrate),
  }))
  const users = mapValues(config.users, withoutPassword)
  const { isolation, outOfOrder } = config.migrate
  const migrate = { ...howRun(config.migrate), isolation, outOfOrder }
  const {
    sqlite,
    url: _url,
    password: _password,
    ...rest
  }: Partial<NonNullable<Config['import']>> = config.import ?? {}
  const into = sqlite === undefined ? rest : { ...rest, schema: rest.schema ?? 'public', types: rest.types ?? {} }
  const bound = { databases, roles, users, manage, migrate, import: into, searchPath: connection().searchPath ?? null }
  return createHash('sha256').update(JSON.stringify(bound)).digest('hex')
}

const mapValues = <T, R>(map: Record<string, T>, change: (value: T) => R): [string, R][] =>
  Object.entries(map).map(([key, value]) => [key, change(value)])

const withoutPassword = <T extends { password?: unknown }>({ password, ...user }: T) => user

type RunKey = 'format' | 'role' | 'table' | 'placeholders'

const howRun = ({ format, role, table, placeholders }: Pick<Config['migrate'], RunKey>) => ({
  ...{ format, role, table, placeholders },
})
