import { expect, test } from 'vitest'
import { createLog, withoutRepeats } from './log.ts'

function logged(
  write: (log: ReturnType<typeof createLog>, tick: (ms: number) => void) => void,
  format: 'json' | 'pretty' = 'json',
) {
  const lines: string[] = []
  let now = 0
  const log = createLog('info', format, { write: (line) => lines.push(line) }, { run_id: 'r', trace_id: 't' })
  write(
    withoutRepeats(log, () => now),
    (ms) => {
      now += ms
    },
  )
  return lines
}
const fieldsOf = (line: string) => {
  const { time: _, ...fields } = JSON.parse(line)
  return fields
}

test('every line of JSON is one line, and has the run and the trace; for a person they are left out', () => {
  const write = (log: ReturnType<typeof createLog>) => log.info({ problem: 'a\nb\u2028c' }, 'first\r\nsecond')
  const [line = ''] = logged(write)
  expect(line.trimEnd()).not.toMatch(/[\r\n\u2028]/)
  expect(fieldsOf(line)).toMatchObject({ level: 'info', run_id: 'r', trace_id: 't', msg: 'first\r\nsecond' })
  expect(logged(write, 'pretty').join('')).not.toContain('run_id')
})

test('what repeats is written once a minute, with how often it was not', () => {
  const lines = logged((log, tick) => {
    for (let second = 0; second <= 60; second++) {
      log.warn({ database: 'shop', retry_ms: second }, 'not ready: away')
      if (second === 30) log.warn({ database: 'wiki' }, 'not ready: away')
      tick(1_000)
    }
  })
  expect(lines.map(fieldsOf)).toMatchObject([
    { database: 'shop', retry_ms: 0 },
    { database: 'wiki' },
    { database: 'shop', retry_ms: 60, repeated: 59 },
  ])
})

test('a message alone repeats too', () => {
  const lines = logged((log, tick) => {
    for (const ms of [1, 1, 60_000]) {
      log.info('ready again')
      tick(ms)
    }
    log.info('ready again')
  })
  expect(lines.map(fieldsOf)).toMatchObject([{ msg: 'ready again' }, { msg: 'ready again', repeated: 2 }])
})
