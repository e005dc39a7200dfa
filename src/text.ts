// pure
/**
 * Foreign text in our output. Names of tables, roles, databases and files, application names of other sessions and messages of a server
 * may contain anything. None of it may move the cursor, change the direction of writing, begin a line, or become more than one word of
 * a command.
 */

/** Most text is plain. The expressions below are inside functions, because compiling them takes a millisecond, and only other text needs them. */
const isPlain = (text: string) => /^[\t\x20-\x7e]*$/.test(text)

/**
 * Escapes characters that are not visible as `\uXXXX`: controls, formats (bidi, zero width), line separators, lone surrogates.
 * @param kept  characters that are not escaped
 * @param mark  start of an escape
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

/** One line of text, with invisible characters, including newlines, as `\uXXXX`. Tabs are kept. */
export const visible = (text: string): string => (isPlain(text) ? text : escapes(text, { kept: '\t' }))

/** Like {@link visible}, for a text of ours whose further lines begin with two spaces. Any other newline is part of a name, and escaped. */
export const visibleLines = (text: string): string =>
  isPlain(text)
    ? text
    : text
        .split(/\n(?= {2})/)
        .map(visible)
        .join('\n')

/**
 * Foreign text that may have several lines, such as a server's message, in the form that {@link visibleLines} expects.
 * @param from first line to indent with two spaces
 */
export const indented = (text: string, from = 1): string =>
  text
    .split(/\r?\n/)
    .map((line, at) => (at < from || line.startsWith('  ') ? line : `  ${line}`))
    .join('\n')

/** The same JSON, with escapes also for invisible characters that JSON.stringify leaves as they are, such as bidi controls. */
export const visibleJson = (json: string): string =>
  /^[\n\x20-\x7e]*$/.test(json) ? json : escapes(json, { kept: '\n' })

/**
 * A word of a command line, quoted for a POSIX shell. POSIX quotes cannot show control characters, so they are written as `\uXXXX`: the
 * command then finds nothing, instead of something else.
 */
export const shellWord = (word: string): string =>
  /^[\w@%+:,./-][\w@%+=:,./-]*$/.test(word) ? word : `'${escapes(word).replaceAll("'", "'\\''")}'`

/** A command line, to read and paste. */
export const shellLine = (words: readonly string[]): string => words.map(shellWord).join(' ')

/** A key or a value of YAML, to paste. */
export const yamlWord = (word: string): string =>
  /^[a-z_][\w./-]*$/i.test(word) && !/^(true|false|yes|no|on|off|null|[yn])$/i.test(word)
    ? word
    : visibleJson(JSON.stringify(word))

/**
 * SQL to read and paste: a quoted name with invisible characters is written as `U&"…"`, which the server reads as the same name.
 */
export const visibleSql = (sql: string): string =>
  sql.replaceAll(/"(?:[^"]|"")*"/g, (name) =>
    escapes(name) === name ? name : `U&${escapes(name.replaceAll('\\', '\\\\'), { mark: '\\' })}`,
  )
