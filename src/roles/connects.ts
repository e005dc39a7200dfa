// pure
import type { Config } from '../config/schema.ts'
import { serverPresets } from './presets.ts'

type Roles = Pick<Config, 'roles' | 'users' | 'databases' | 'lock'>
type Connect = { database: string; grantee: string }

/** Databases that roles may connect to without anything else in them: by `connect`, and by presets under `users`, which visit every declared one. Pure. */
export function declaredConnects(config: Roles): Connect[] {
  const databases = Object.keys(config.databases)
  const visits = Object.entries(config.users).flatMap(([grantee, { preset }]): Connect[] => {
    const more = preset && serverPresets[preset].connectsTo?.(config)
    return more === undefined ? [] : [...databases, more].map((database) => ({ database, grantee }))
  })
  const under = Object.values(config.databases).flatMap((of) => Object.entries(of?.users ?? {}))
  const named = [...Object.entries(config.roles), ...Object.entries(config.users), ...under].flatMap(
    ([grantee, fields]) => (fields?.connect ?? []).map((database) => ({ database, grantee })),
  )
  const all = [...visits, ...named]
  return [...new Map(all.map((one) => [JSON.stringify([one.database, one.grantee]), one])).values()]
}
