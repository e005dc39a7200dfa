import { expect, test } from 'vitest'
import { traceFields } from './trace.ts'

const trace = '0af7651916cd43dd8448eb211c80319c'
const span = 'b7ad6b7169203331'

test.each([
  `00-${trace}-${span}-01`,
  `00-${trace}-${span}-00`,
  `cc-${trace}-${span}-01-what-the-future-brings`,
])('%s is taken over', (text) => {
  expect(traceFields(text)).toEqual({ trace_id: trace, span_id: span })
})

test.each([
  undefined,
  '',
  `ff-${trace}-${span}-01`,
  `00-${trace}-${span}-01-more`,
  `00-${trace}-${span}`,
  `00-${trace.toUpperCase()}-${span}-01`,
  `00-${'0'.repeat(32)}-${span}-01`,
  `00-${trace}-${'0'.repeat(16)}-01`,
  `00-${trace}x-${span}-01`,
  `cc-${trace}-${span}-01.more`,
  ` 00-${trace}-${span}-01`,
])('%s is ignored', (text) => {
  expect(traceFields(text)).toEqual({})
})
