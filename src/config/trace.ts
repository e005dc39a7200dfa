// pure

const pattern = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/

/**
 * The trace that a run belongs to, as fields of its log: `trace_id` and `span_id`, the span that has started it. None for what is no trace
 * context, which is ignored as the standard says: https://www.w3.org/TR/trace-context/#traceparent-header. Pure.
 *
 * @param traceparent `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01`
 */
export function traceFields(traceparent: string | undefined): Record<string, string> {
  const [, version, trace_id = '', span_id = '', more] = pattern.exec(traceparent ?? '') ?? []
  const isValid = version !== undefined && version !== 'ff' && (version !== '00' || more === undefined)
  return isValid && /[^0]/.test(trace_id) && /[^0]/.test(span_id) ? { trace_id, span_id } : {}
}
