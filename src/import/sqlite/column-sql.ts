// pure
import { quoteIdent } from '../../sql/quote.ts'
import { type Conversion, convertValue, ranges } from '../convert.ts'

/** The function that SQL of ours calls for values that SQL alone cannot convert: `pgbosun_text(value, number of the conversion)`. */
export const textFunction = 'pgbosun_text'

/** The same in SQLite's SQL. */
const escapedSql = (column: string) =>
  `replace(replace(replace(replace(replace(${column},'\\','\\\\'),char(10),'\\n'),char(13),'\\r'),char(1),'\\'||char(1)),char(2),'\\'||char(2))`

/**
 * What SQL converts by itself, because that is several times faster: `[when, then]`. Everything else goes through {@link convertValue}.
 * A NUL in text is only found in what is about to be sent: there, looking for it costs nothing.
 */
function quick({ type }: Conversion, column: string): [when: string, then: string] | undefined {
  const storage = `typeof(${column})`
  const range = ranges[type.kind]
  if (range)
    return [
      `${storage} = 'integer'${type.kind === 'int8' ? '' : ` and ${column} between ${range[0]} and ${range[1]}`}`,
      column,
    ]
  switch (type.kind) {
    case 'text':
    case 'varchar':
      return [
        `${storage} = 'text'${type.length === undefined ? '' : ` and length(${column}) <= ${type.length}`}`,
        escapedSql(column),
      ]
    case 'bool':
      return [`${storage} = 'integer' and ${column} in (0, 1)`, column]
    case 'bytea':
      return [`${storage} = 'blob'`, `'\\\\x' || hex(${column})`]
    case 'float8':
      // Exact with 17 digits, and `!` asks for them; as short as possible.
      return [`${storage} = 'real'`, `format('%!.17g', ${column})`]
    case 'date':
      return [`${storage} = 'text' and date(${column}) = ${column} and substr(${column}, 1, 4) <> '0000'`, column]
    case 'timestamp':
      return [isInstant(column), column]
    default:
      return undefined
  }
}

/**
 * Whether it is `2024-01-02 03:04:05`, or has up to six digits more: SQLite itself spells it so. Days that do not exist it would change,
 * but not the year 0 and the hour 24, which PostgreSQL refuses or changes.
 Without digits is by far the most frequent, and so comes first. Comparing
 * the column itself with a text would compare numbers, because its affinity is NUMERIC.
 */
const isInstant = (column: string) =>
  `(datetime(${column}) = ${column} or typeof(${column}) = 'text' and length(${column}) between 21 and 26
     and datetime(substr(${column}, 1, 19)) = substr(${column}, 1, 19)
     and substr(${column}, 20, 1) = '.' and substr(${column}, 21) not glob '*[^0-9]*')
   and substr(${column}, 12, 2) <> '24' and substr(${column}, 1, 4) <> '0000'`

/** SQL of SQLite about one column. */
export type ColumnSql = {
  /** The column itself. */
  column: string
  /** Whether a value that is not NULL can be converted. */
  fits: string
  /** The field of COPY's text format. */
  field: string
  /** The same for text that needs no escapes; `special` is true for some that does, and the rest shows in what comes out. */
  plain: string
  special: string | undefined
}

/** @param id number of the conversion, for {@link textFunction} */
export function columnSql(conversion: Conversion, name: string, id: number): ColumnSql {
  const column = quoteIdent(name)
  const slow = `${textFunction}(${column}, ${id})`
  const fast = quick(conversion, column)
  const isText = conversion.type.kind === 'text' || conversion.type.kind === 'varchar'
  const fieldOf = (then: string | undefined) =>
    fast
      ? `case when ${fast[0]} then ${then} when ${column} is null then char(2) else ${slow} end`
      : `case when ${column} is null then char(2) else ${slow} end`
  return {
    column,
    fits: fast ? `case when ${fast[0]} then 1 else ${slow} is not null end` : `${slow} is not null`,
    field: fieldOf(fast?.[1]),
    plain: fieldOf(isText ? column : fast?.[1]),
    special: isText ? `(instr(${column}, char(1)) or ${column} = char(2))` : undefined,
  }
}
