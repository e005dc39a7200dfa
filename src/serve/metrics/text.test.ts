import { expect, test } from 'vitest'
import { renderMetrics } from './text.ts'

test('labels are in the order of their names, and nothing in a value ends it', () => {
  const labels = { store: 'a\\b\n"c"', database: 'süß\ud800' }
  expect(renderMetrics([{ name: 'm', type: 'gauge', help: 'a\\b\nc', samples: [{ labels, value: 1.5 }] }])).toBe(
    '# HELP m a\\\\b\\nc\n# TYPE m gauge\nm{database="süß\ufffd",store="a\\\\b\\n\\"c\\""} 1.5\n',
  )
})

test('a metric of which nothing is known is left out', () => {
  expect(renderMetrics([{ name: 'm', type: 'gauge', help: 'h', samples: [] }])).toBe('')
})

test.each([
  [Number.NaN, 'NaN'],
  [Number.POSITIVE_INFINITY, '+Inf'],
  [Number.NEGATIVE_INFINITY, '-Inf'],
  [1e21, '1e+21'],
  [0, '0'],
])('%d is written as Prometheus reads it', (value, text) => {
  expect(renderMetrics([{ name: 'm', type: 'counter', help: 'h', samples: [{ value }] }])).toContain(`\nm ${text}\n`)
})
