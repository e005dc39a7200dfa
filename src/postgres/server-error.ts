// pure
/** An error of the server about a failed statement, with the driver's field names. */
export type ServerError = Error & {
  code: string
  severity: string
  detail?: string
  hint?: string
  /** In code points from 1, as text. */
  position?: string
  /** CONTEXT: functions, COPY lines, innermost first. */
  where?: string
  schema_name?: string
  table_name?: string
  column_name?: string
  constraint_name?: string
  /** The function of the server's source that raised it. */
  routine?: string
}

/** Whether the error comes from the server itself, rather than from the driver or the network. */
export const isServerError = (error: unknown): error is ServerError =>
  error instanceof Error && 'code' in error && 'severity' in error
