import * as z from 'zod'
import { maxNameBytes, predicates } from './predicates.ts'

/** A name as PostgreSQL stores it: 1 to 63 bytes. PostgreSQL would truncate a longer one. */
export const identifier = z
  .string()
  .min(1, 'the name is empty')
  .refine(predicates.fitsIntoName, {
    error: ({ input }) =>
      `the name has ${Buffer.byteLength(String(input))} bytes; PostgreSQL truncates names to ${maxNameBytes}`,
  })
  .refine(predicates.hasNoZeroByte, 'a name cannot contain a zero byte')

/** A role that we may create or change. */
export const roleName = identifier.refine(predicates.isNotReserved, {
  error: ({ input }) => `the name ${String(input)} is reserved by PostgreSQL`,
})
