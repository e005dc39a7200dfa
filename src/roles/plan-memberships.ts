// pure
import { usage } from '../errors.ts'
import { type ClusterAction, exactRoles, type Planned, planned } from './actions.ts'
import { describeOthers, planSurplus, type Surplus } from './passed-on.ts'
import type {
  AclEntry,
  CurrentCluster,
  CurrentMembership,
  DesiredMembership,
  DesiredRoles,
  MembershipOptions,
} from './types.ts'

type Actions = Planned<ClusterAction>[]

/** From PostgreSQL 14 on, roles that read everything are members of pg_read_all_data. */
export const withReaders = (desired: DesiredRoles, major: number): DesiredRoles =>
  major < 14
    ? desired
    : {
        ...desired,
        memberships: [
          ...desired.memberships,
          ...desired.readAll.map((member) => ({ role: 'pg_read_all_data', member })),
        ],
      }

/** Memberships to revoke (first, because they may conflict with new ones) and to grant. */
export function planMemberships(desired: DesiredRoles, current: CurrentCluster): Actions {
  const exact = exactRoles(desired)
  exact.delete(current.session.name)
  const declared = new Map(
    desired.memberships.map((one) => [JSON.stringify([one.role, one.member]), optionsOf(one)] as const),
  )
  const rows = current.memberships.filter((row) => !isCreatorsRow(row))
  const verdict = judgeMemberships(rows, {
    major: current.major,
    exact,
    declared: (role, member) => declared.get(JSON.stringify([role, member])),
  })
  const creators = current.memberships.filter(isCreatorsRow)
  return [
    ...verdict.surplus
      .filter(({ optionOnly }) => !optionOnly)
      .map((surplus) => revokeRow(surplus, current.major, 'is not declared')),
    ...desired.memberships.flatMap((membership) =>
      planMembership(membership, { ...verdict, creators, exact }, current.major),
    ),
  ]
}

type Row = CurrentMembership
type RowSurplus = Omit<Surplus, 'entry'> & { row: Row }

/** Up to PostgreSQL 15 a membership does not depend on its grantor. */
function judgeMemberships(
  rows: Row[],
  {
    major,
    exact,
    declared,
  }: { major: number; exact: Set<string>; declared: (role: string, member: string) => MembershipOptions | undefined },
): { surplus: RowSurplus[]; stays: Row[] } {
  const rowOf = new Map(
    rows.map((row): [AclEntry, Row] => {
      const grantor = major >= 16 ? row.grantor : ''
      return [{ grantee: row.member, grantor, privilege: row.role, grantable: row.admin }, row]
    }),
  )
  const { surplus, stays } = planSurplus([...rowOf.keys()], {
    exact,
    isDeclared: (member, role) => declared(role, member) !== undefined,
    mayPassOn: (member, role) => declared(role, member)?.admin ?? false,
  })
  return {
    surplus: surplus.map(({ entry, ...rest }) => ({ row: rowOf.get(entry)!, ...rest })),
    stays: stays.map((entry) => rowOf.get(entry)!),
  }
}

/** The membership that PostgreSQL 16+ creates for the creator of a role. Revoking it would take away the right to manage the role. */
const isCreatorsRow = ({ admin, inherit, set, grantedByBootstrap }: CurrentMembership) =>
  grantedByBootstrap && admin && !inherit && !set

/** Up to PostgreSQL 15, ADMIN is the only option; before, INHERIT belongs to the member and SET cannot be taken away. */
export function refuseOptions({ memberships }: DesiredRoles, major: number): void {
  const found = memberships.find(({ inherit, set }) => inherit === false || set === false)
  if (major >= 16 || found === undefined) return
  const option = found.inherit === false ? 'inherit' : 'set'
  throw usage(
    `the membership of ${found.member} in ${found.role} is declared with ${option}: false, which PostgreSQL ${major} does not have`,
    { hint: `remove ${option}: false, or use PostgreSQL 16 or newer` },
  )
}

const optionsOf = ({ admin = false, inherit = true, set = true }: Partial<MembershipOptions>): MembershipOptions => ({
  admin,
  inherit,
  set,
})

const optionNames = ['admin', 'inherit', 'set'] as const

/** What at least one of the memberships allows: PostgreSQL 16+ has one for each grantor. */
const together = (rows: MembershipOptions[]): MembershipOptions => ({
  admin: rows.some(({ admin }) => admin),
  inherit: rows.some(({ inherit }) => inherit),
  set: rows.some(({ set }) => set),
})

type Verdict = { surplus: RowSurplus[]; stays: Row[]; creators: Row[]; exact: Set<string> }

function planMembership(membership: DesiredMembership, verdict: Verdict, major: number): Actions {
  const { role, member } = membership
  const ofPair = (row: Row) => row.role === role && row.member === member
  const wanted = optionsOf(membership)
  const rows = verdict.stays.filter(ofPair)
  const grant = (reason: string, grantor: string | null, options: MembershipOptions): Planned<ClusterAction> =>
    planned(
      { do: 'grant role', role, member, grantor, withOptions: major >= 16, ...options },
      'grant',
      `role ${role} to ${member}`,
      reason,
    )

  const lessened = rows.flatMap((row) => lessenRow(row, wanted, verdict, major, grant))
  const granted = lessened.some(({ payload }) => payload.do === 'grant role')
  const held = together([
    ...rows,
    ...(granted ? [wanted] : []),
    ...(wanted.admin ? verdict.creators.filter(ofPair) : []),
  ])
  const known = major >= 16 ? optionNames : (['admin'] as const)
  const missing = known.filter((option) => wanted[option] && !held[option])
  if (rows.length === 0 && (missing.length > 0 || !held.admin)) return [grant('is not a member', null, wanted)]
  if (missing.length === 0) return lessened
  // In a membership that need not be exact, what is there stays.
  const options = verdict.exact.has(member) ? wanted : together([wanted, ...rows])
  return [
    ...lessened,
    grant(`the membership lacks ${missing.map((option) => option.toUpperCase()).join(' or ')}`, null, options),
  ]
}

/** Takes away the options of a membership that are not declared. */
function lessenRow(
  row: Row,
  wanted: MembershipOptions,
  { surplus, exact }: Verdict,
  major: number,
  grant: (reason: string, grantor: string | null, options: MembershipOptions) => Planned<ClusterAction>,
): Actions {
  const admin = surplus.find((one) => one.optionOnly && one.row === row)
  const reason = (options: string[]) =>
    `the ${options.join(' and ')} option${options.length > 1 ? 's are' : ' is'} not declared`
  if (admin && (major < 16 || admin.passedOn.length + admin.keptBy.length > 0))
    return [revokeRow(admin, major, reason(['admin']))]
  const more =
    exact.has(row.member) && major >= 16 ? (['inherit', 'set'] as const).filter((one) => row[one] && !wanted[one]) : []
  const excess = [...(admin ? ['admin'] : []), ...more]
  return excess.length === 0 ? [] : [grant(reason(excess), row.grantor, wanted)]
}

function revokeRow(
  { row, optionOnly, passedOn, keptBy }: RowSurplus,
  major: number,
  why: string,
): Planned<ClusterAction> {
  const { role, member } = row
  return planned(
    {
      do: 'revoke role',
      role,
      member,
      grantor: major >= 16 ? row.grantor : null,
      adminOnly: optionOnly,
      cascade: passedOn.length > 0,
      impossible: keptBy.length > 0,
    },
    'revoke',
    `role ${role} from ${member}`,
    [why, ...describeOthers({ grantee: member, passedOn, keptBy })].join('; '),
  )
}
