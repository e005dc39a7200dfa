// pure
/**
 * Text of others in ours. Names of tables, roles, databases and files, what other sessions call themselves and what a server says may
 * hold anything: none of it may move a cursor, turn the direction of writing, begin a line, or be more than one word of a command.
 */

/** Most text is. The expressions below stand in a function: compiling them takes a millisecond, which only other text is worth. */
const isPlain = (text: string) => /^[\t\x20-\x7e]*$/.test(text)

/**
 * What does not show as itself as `\uXXXX`: controls, formats (bidi, zero width), separators of lines, halves of characters.
 * @param kept  characters that stay
 * @param mark  what begins an escape
 */
const escapes = (text: string, { kept = '', mark = '\\u' } = {}): string =>
  text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (character) =>
    kept.includes(character)
      ? character
      : character
          .split('')
          .map((unit) => mark + hexOf(unit))
          .join(''),
  )

const hexOf = (unit: string) => unit.charCodeAt(0).toString(16).padStart(4, '0')

/** One line: what does not show as itself as `\uXXXX`, newlines too. Tabs stay. */
export const visible = (text: string): string => (isPlain(text) ? text : escapes(text, { kept: '\t' }))

/** {@link visible} of a text of ours that may have more lines, which begin with two blanks: any other newline came with a name. */
export const visibleLines = (text: string): string =>
  isPlain(text)
    ? text
    : text
        .split(/\n(?= {2})/)
        .map(visible)
        .join('\n')

/**
 * Text of others that rightly has several lines, such as what a server says, as such a text of ours.
 * @param from the first line that gets its two blanks
 */
export const indented = (text: string, from = 1): string =>
  text
    .split(/\r?\n/)
    .map((line, at) => (at < from || line.startsWith('  ') ? line : `  ${line}`))
    .join('\n')

/** The same JSON, in which the characters that JSON.stringify leaves as they are, such as bidi controls, are escapes too. */
export const visibleJson = (json: string): string =>
  /^[\n\x20-\x7e]*$/.test(json) ? json : escapes(json, { kept: '\n' })

/**
 * A word of a command line for a POSIX shell. No quotes of POSIX can show a control character in print: one stands there as `\uXXXX`,
 * and the command finds nothing, rather than something else.
 */
export const shellWord = (word: string): string =>
  /^[\w@%+:,./-][\w@%+=:,./-]*$/.test(word) ? word : `'${escapes(word).replaceAll("'", "'\\''")}'`

/** A command line, to be read and pasted. */
export const shellLine = (words: readonly string[]): string => words.map(shellWord).join(' ')

/** A key or a value of YAML, to be pasted. */
export const yamlWord = (word: string): string =>
  /^[a-z_][\w./-]*$/i.test(word) && !/^(true|false|yes|no|on|off|null|[yn])$/i.test(word)
    ? word
    : visibleJson(JSON.stringify(word))

/**
 * SQL to be read and pasted: a name in double quotes with something that does not show is written as `U&"…"`, which the server reads
 * as the same name.
 */
export const visibleSql = (sql: string): string =>
  sql.replaceAll(/"(?:[^"]|"")*"/g, (name) =>
    escapes(name) === name ? name : `U&${escapes(name.replaceAll('\\', '\\\\'), { mark: '\\' })}`,
  )
