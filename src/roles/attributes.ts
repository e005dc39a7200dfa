// pure
import { usage } from '../errors.ts'
import type { DesiredRole, RoleAttribute } from './types.ts'

/** The keys of attributes in the configuration. */
export const attributeKeys = ['createRole', 'createDb', 'replication', 'bypassRls', 'inherit'] as const
export type AttributeKey = (typeof attributeKeys)[number]

/**
 * The attributes that are declared; the others are not managed.
 *
 * @param inherits whether a preset or a membership needs INHERIT
 * @throws {AppError} `usage` when it is declared without
 */
export function attributesOf(
  path: string,
  fields: Partial<Record<AttributeKey, boolean | undefined>>,
  inherits: boolean,
): Pick<DesiredRole, 'bypassRls' | 'attributes'> {
  if (inherits && fields.inherit === false)
    throw usage(`${path}.inherit is false, but a preset or a membership of it needs INHERIT`, {
      hint: 'remove `inherit: false`; of a single membership, write memberOf: [{ role: NAME, inherit: false }]',
    })
  const attributes: Partial<Record<RoleAttribute, boolean>> = {}
  for (const key of attributeKeys) {
    const value = fields[key]
    if (value !== undefined && key !== 'bypassRls') attributes[key.toLowerCase() as RoleAttribute] = value
  }
  return {
    ...(fields.bypassRls !== undefined && { bypassRls: fields.bypassRls }),
    ...(Object.keys(attributes).length > 0 && { attributes }),
  }
}
