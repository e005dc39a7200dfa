/** What the documents show: blocks of code, and the command lines of ours in them. */

/** A block of code of a document. `language` is everything after the fence: `sh`, `yaml pod`, or nothing. */
export type Block = { language: string; text: string; line: number }

/** The blocks of a text in Markdown, those in a list included, without its indentation. */
export function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = []
  let open: { indent: number; language: string; lines: string[]; line: number } | undefined
  markdown.split('\n').forEach((text, i) => {
    const [, indent = '', language] = /^( *)```(.*)$/.exec(text) ?? []
    if (open !== undefined && language === '') {
      blocks.push({ language: open.language, text: `${open.lines.join('\n')}\n`, line: open.line })
      open = undefined
    } else if (open !== undefined) open.lines.push(text.slice(open.indent))
    else if (language !== undefined) open = { indent: indent.length, language, lines: [], line: i + 2 }
  })
  return blocks
}

/** Programs that a block of commands begins with, where it does not say that it is one. */
const programs =
  /^(#|\.\/|scripts\/|pgbosun|npx|docker|kubectl|helm|envsubst|curl|zstd|createdb|psql|age|sqlx|apt-get|export|\(umask|[A-Z_]+=)/

/** The commands of a block, as a script for the shell; nothing for a block that is no script. After `$ `, only the rest of that line is typed. */
export function scriptOf({ language, text }: Block): string | undefined {
  if (/^\$ /m.test(text) && ['', 'console', 'sh'].includes(language)) {
    const typed = text.split('\n').flatMap((line) => (line.startsWith('$ ') ? [line.slice(2)] : []))
    return `${typed.join('\n')}\n`
  }
  if (language === 'sh') return text
  return language === '' && programs.test(text) ? text : undefined
}

/** The words of each simple command of a script: `a "b c" | d` → `[['a', 'b c'], ['d']]`. What is substituted stays as it is written. */
export function commandsOf(script: string): string[][] {
  const commands: string[][] = [[]]
  const tokens = script
    .replaceAll('\\\n', ' ')
    .matchAll(/(?:^|(?<=\s))#[^\n]*|\n|&&|\|\||[|;&()]|(?:'[^']*'|"[^"]*"|\$\([^)]*\)|\\.|[^\s|;&()'"#\\]|(?<=\S)#)+/g)
  for (const [token] of tokens) {
    if (token.startsWith('#')) continue
    if (/^(\n|&&|\|\||[|;&()])$/.test(token)) commands.push([])
    else commands.at(-1)!.push(token.replaceAll(/^['"]|['"]$|(?<==)["']/g, ''))
  }
  return commands.filter((words) => words.length > 0)
}

/** Services of our examples whose image is pgbosun's, with `up` or `serve` as their own command. */
const services = ['up', 'serve', 'backups', 'pgbosun']

/** The arguments that pgbosun gets in a simple command, also inside a container; undefined where it is not run. */
export function argumentsOf(command: readonly string[]): string[] | undefined {
  const words = command.filter((word, i) => !/^\d?[<>]/.test(word) && !/^\d?[<>]+$/.test(command[i - 1] ?? ''))
  const start = words.findIndex((word) => !/^[A-Z_]+=/.test(word))
  const [program, verb] = words.slice(start)
  if (program === 'docker' && verb === 'compose' && words.includes('run')) {
    const after = words.slice(words.indexOf('run') + 1)
    const service = after.findIndex((word, i) => services.includes(word) && !valued.has(after[i - 1] ?? ''))
    return service < 0 || service === after.length - 1 ? undefined : after.slice(service + 1)
  }
  const isContainer = program === 'docker' && ['run', 'compose', 'exec'].includes(verb ?? '')
  if (!isContainer && !(program === 'kubectl' && verb === 'exec') && program !== 'npx' && !ours.test(program ?? ''))
    return undefined
  const own = words.findLastIndex((word) => ours.test(word))
  return own < 0 || own === words.length - 1 ? undefined : words.slice(own + 1)
}

const ours = /^(\/opt\/pgbosun\/bin\/)?pgbosun(:[\d.]+)?$/

/** Flags of `docker compose run` whose value is the next word. */
const valued = new Set(['-e', '--env', '--volume', '-v', '--name', '--user', '--entrypoint'])
