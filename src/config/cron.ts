import { parse, validateDetailed } from 'node-cron'

/** A cron expression as numbers. Sunday is 0. */
export type Cron = {
  minutes: number[]
  hours: number[]
  daysOfMonth: number[]
  months: number[]
  daysOfWeek: number[]
  /** True: a day must be in one of the two lists, as in cron when both are given. False: it must be in both. */
  eitherDay: boolean
}

/** Reads five cron fields, or `@daily` and the like. @returns a text if something is wrong with them */
export function parseCron(text: string): Cron | string {
  const words = text.trim().split(/\s+/)
  const expression = words.join(' ')
  if (expression === '') return 'is empty'
  const short = words.length === 1 && expression.startsWith('@')
  if (!short && words.length !== 5)
    return `has ${words.length} fields, not five: minute, hour, day of month, month, day of week`
  const { valid, errors } = validateDetailed(expression)
  if (!valid) return short ? `${text} is not one of ${nicknames.join(', ')}` : errors.map(problem).join('; ')

  const { minute, hour, dayOfMonth, month, dayOfWeek } = parse(expression)
  const special = [...dayOfMonth, ...dayOfWeek].find((day) => typeof day === 'string')
  if (special !== undefined) return `${special} is not supported: write days as numbers, names, lists and ranges`
  return {
    minutes: ascending(minute),
    hours: ascending(hour),
    daysOfMonth: ascending(dayOfMonth as number[]),
    months: ascending(month),
    daysOfWeek: ascending(dayOfWeek as number[]),
    eitherDay: !short && isGiven(words[2]!) && isGiven(words[4]!),
  }
}

const nicknames = ['@hourly', '@daily', '@weekly', '@monthly', '@yearly']

const fieldNames: Record<string, string> = { dayOfMonth: 'day of month', dayOfWeek: 'day of week' }

const problem = ({ field, value = '', message }: { field: string; value?: string; message: string }) =>
  /impossible/.test(message)
    ? `none of the months has a day ${value}`
    : `${value} is not a valid ${fieldNames[field] ?? field}`

const ascending = (numbers: number[]) => [...new Set(numbers)].sort((a, b) => a - b)

const isGiven = (field: string) => !/^[*?]/.test(field)
