import { describe, expect } from 'vitest'
import { server, test, uniqueName } from './support/postgres.ts'
import { asSuperuser, asUser, declared } from './support/roles.ts'

const modern = server().major >= 16

/** Names of a group, a member and a leader, and their declaration. */
function world(leader: object = {}) {
  const [group, ann, bob] = ['group', 'ann', 'bob'].map(uniqueName) as [string, string, string]
  const configuration = {
    roles: { [group]: { members: [ann] } },
    users: {
      [ann]: { password: { env: 'x' } },
      [bob]: { password: { env: 'x' }, memberOf: [{ role: group, admin: true, ...leader }] },
    },
  }
  const short = (lines: string[]) =>
    lines.map((line) => line.replaceAll(group, 'group').replaceAll(ann, 'ann').replaceAll(bob, 'bob'))
  return { group, ann, bob, configuration, it: declared(configuration), short }
}

test('memberships with ADMIN converge, are left alone afterwards, and are repaired', async () => {
  const { group, ann, bob, it, short } = world()
  expect(short(await it.converge())).toEqual(
    expect.arrayContaining(['grant role group to ann: is not a member', 'grant role group to bob: is not a member']),
  )
  expect(await it.drift()).toEqual([])
  const stranger = uniqueName('stranger')
  await asSuperuser('postgres', `create role ${stranger}`)
  expect(await asUser('postgres', { name: ann, password: 'x' }, `grant ${group} to ${stranger}`)).toBe('42501')
  expect(await asUser('postgres', { name: bob, password: 'x' }, `grant ${group} to ${stranger}`)).toEqual([])
  // What a leader may grant, it may grant: the stranger is not named.
  expect(await it.drift()).toEqual([])

  await asSuperuser(
    'postgres',
    `revoke ${group} from ${stranger}${modern ? ` granted by ${bob}` : ''}; revoke admin option for ${group} from ${bob}`,
  )
  expect(short(await it.drift())).toEqual(['grant role group to bob: the membership lacks ADMIN'])
  await it.converge()
  expect(await it.drift()).toEqual([])
})

describe.runIf(modern)('from PostgreSQL 16 on', () => {
  test('a member without INHERIT has to SET ROLE; a changed option is repaired, whoever granted it', async () => {
    const { group, bob, it, short } = world({ inherit: false })
    await it.converge()
    expect(await it.drift()).toEqual([])
    const secrets = uniqueName('secrets')
    await asSuperuser('postgres', `create table ${secrets} (); grant select on ${secrets} to ${group}`)
    const user = { name: bob, password: 'x' }
    expect(await asUser('postgres', user, `select * from ${secrets}`)).toBe('42501')
    expect(await asUser('postgres', user, `set role ${group}; select * from ${secrets}`)).toEqual(expect.anything())

    // A second membership, granted by the member itself, would give what is not declared.
    const chief = uniqueName('chief')
    await asSuperuser(
      'postgres',
      `create role ${chief}; grant ${group} to ${chief} with admin true; grant ${group} to ${bob} with inherit true granted by ${chief}`,
    )
    expect(await asUser('postgres', user, `select * from ${secrets}`)).toEqual([])
    expect(short(await it.drift())).toEqual(['grant role group to bob: the inherit option is not declared'])
    await it.converge()
    expect(await it.drift()).toEqual([])
    expect(await asUser('postgres', user, `select * from ${secrets}`)).toBe('42501')
    await asSuperuser('postgres', `drop table ${secrets}`)
  })

  test('a member without SET cannot become the role', async () => {
    const { group, bob, it } = world({ admin: false, set: false })
    await it.converge()
    expect(await it.drift()).toEqual([])
    expect(await asUser('postgres', { name: bob, password: 'x' }, `set role ${group}`)).toBe('42501')
  })
})

describe.runIf(!modern)('up to PostgreSQL 15', () => {
  test('INHERIT of a membership is refused before anything is changed', async () => {
    const { it, bob } = world({ inherit: false })
    await expect(it.converge()).rejects.toMatchObject({ kind: 'usage' })
    expect(await asSuperuser('postgres', `select from pg_roles where rolname = '${bob}'`)).toEqual([])
  })
})
