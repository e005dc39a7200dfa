// pure
/** A place in a file, counted from 1; the column in code points. */
export type Place = { line: number; column: number }

/** `empty`: neither a character nor a quote, which COPY reads as NULL. */
export type Field = Place & { empty: boolean }

/** One record of a CSV file, as COPY divides it. */
export type CsvRecord = {
  /** 0 is the first line, which names the columns. */
  number: number
  /** The lines on which it begins and ends: a quoted value may have line breaks. */
  line: number
  lastLine: number
  /** At most {@link mostFields} of them. */
  fields: Field[]
  fieldCount: number
  /** Where its last quote was opened, and whether it is still open at the end of the file. */
  quote: (Place & { open: boolean }) | undefined
  /** Its first quote that opens within a value, or closes before the end of one: it may have been meant as a character. */
  stray: Place | undefined
  /** The values; only of record 0, and cut after a million characters. */
  names: string[]
  /** The values that are kept, by their place. */
  values: string[]
}

/** A table of PostgreSQL has at most 1,600 columns. */
const mostFields = 1_700
const longestHeader = 1_000_000

export type RecordReader = {
  /** Takes the next part of the file. */
  read(text: string): Generator<CsvRecord>
  /** The last record, if the file does not end with a line break. */
  end(): Generator<CsvRecord>
}

/**
 * Divides a CSV file into records, piece by piece, without keeping its values. Like COPY, it takes a quote anywhere in a value for the
 * start of a quoted part, and two quotes within one for a quote.
 * @param keeps whether the values at a place, counted from 0, are kept all the same
 */
export function createRecordReader(keeps?: (field: number) => boolean): RecordReader {
  let [line, column, number] = [1, 1, 0]
  let previous = ''
  let quoted = false
  let record = newRecord(number, line)
  let names = 0

  const keep = (character: string) => {
    const at = record.fieldCount - 1
    if (keeps?.(at)) record.values[at] = (record.values[at] ?? '') + character
  }
  const add = (character: string) => {
    if (keeps && record.number > 0) keep(character)
    if (record.number > 0 || ++names > longestHeader) return
    record.names[record.names.length - 1] += character
  }
  const lastField = () => (record.fieldCount <= mostFields ? record.fields.at(-1) : undefined)
  const fill = () => {
    const field = lastField()
    if (field) field.empty = false
  }
  const startField = () => {
    record.fieldCount++
    if (record.fieldCount <= mostFields) record.fields.push({ line, column, empty: true })
    if (record.number === 0) record.names.push('')
  }
  const finish = (): CsvRecord => {
    const done = { ...record, lastLine: line }
    if (done.quote) done.quote.open = quoted
    return done
  }
  const quote = () => {
    const begins = lastField()?.empty !== false
    fill()
    quoted = !quoted
    if (!quoted) return
    // The second of two quotes continues the value.
    if (previous === '"' && record.quote) return add('"')
    record.quote = { line, column, open: false }
    if (!begins) record.stray ??= { line, column }
  }
  const noteClosed = () => {
    if (previous === '"' && !quoted && record.quote)
      record.stray ??= { line: record.quote.line, column: record.quote.column }
  }

  function* read(text: string): Generator<CsvRecord> {
    for (const character of text) {
      if (number === 0 && line === 1 && column === 1 && previous === '' && character === '\uFEFF') continue
      const isBreak = character === '\n' || character === '\r'
      if (isBreak && character === '\n' && previous === '\r') {
        // the second half of one line break
        if (quoted) add(character)
        previous = character
        continue
      }
      if (record.fieldCount === 0) startField()
      if (isBreak && !quoted) {
        yield finish()
        number++
        line++
        column = 1
        record = newRecord(number, line)
        previous = character
        continue
      }
      if (character === '"') quote()
      else if (character === ',' && !quoted) {
        column++
        startField()
        column--
      } else {
        noteClosed()
        fill()
        add(character)
      }
      if (isBreak) {
        line++
        column = 1
      } else column++
      previous = character
    }
  }

  return {
    read,
    *end() {
      if (record.fieldCount > 0) yield finish()
    },
  }
}

const newRecord = (number: number, line: number): CsvRecord => ({
  number,
  line,
  lastLine: line,
  fields: [],
  fieldCount: 0,
  quote: undefined,
  stray: undefined,
  names: [],
  values: [],
})
