// pure
import { hazards } from './coverage.ts'
import { lintFiles } from './lint.ts'
import type { Rule } from './rule.ts'
import { rules } from './rules.ts'
import type { Parser } from './statement.ts'

/** The reference page, docs/lint.md: what linting is, and every rule with an example and the safe way. */
export function renderLintReference(parser: Parser): string {
  return [
    introduction,
    '## Rules',
    '',
    '| rule | level | lock | what it sees |',
    '|---|---|---|---|',
    ...rules.map(
      (rule) => `| [\`${rule.name}\`](#${rule.name}) | ${rule.level} | ${rule.lock ?? ''} | ${seenBy(rule)} |`,
    ),
    '',
    ...rules.map((rule) => section(rule, parser)),
    '## Looked after elsewhere',
    '',
    '| hazard | by |',
    '|---|---|',
    ...hazards.flatMap(({ hazard, note }) => (note === undefined ? [] : [`| ${hazard} | ${note} |`])),
    '',
  ].join('\n')
}

/** What a rule sees, in a few words. */
const seenBy = (rule: Rule) => hazards.find(({ rules }) => rules.includes(rule.name))?.hazard ?? ''

function section(rule: Rule, parser: Parser): string {
  const { name, level, lock, why, example } = rule
  const [found] = findingsOf(rule, parser)
  return [
    `### ${name}`,
    '',
    `Level \`${level}\`${lock ? `, lock \`${lock}\`` : ''}. ${why}`,
    '',
    ...sql(`${example}${/\\/.test(example) ? '' : ';'}`),
    '',
    ...(found?.rewrite ? ['Safe:', '', ...sql(found.rewrite), ''] : []),
  ].join('\n')
}

const sql = (text: string) => ['```sql', text, '```']

/** What a rule finds in its own example. */
export function findingsOf({ name, example, mode = 'wrapped' }: Rule, parser: Parser) {
  const file = { name: 'example', path: 'example.sql', text: example, line: 1, mode, demanded: mode === 'split' }
  return lintFiles({ parser, files: [file], levels: { [name]: 'warn' } }).filter(({ rule }) => rule === name)
}

const introduction = `# Lint

<!-- Made by \`npm run docs\` from src/migrate/lint: do not edit. -->

\`pgbosun migrate lint [FILES…] [--since VERSION] [--all] [--explain] [--format text|github]\` looks for what is dangerous in migrations: locks that stop the
application, tables that are written anew, data that is lost, statements that are bound to fail. It reads the files with PostgreSQL's own grammar
(libpg-query, PostgreSQL 18), so it needs no server, and it shows syntax errors with line and caret. \`plan\` lints what is pending.

- Files of every format are linted, and of a file with sections the part that is applied.
- A statement on a table that the same file creates is exempt: nobody uses it yet. With \`--since VERSION\`, or with a database that knows what is
  applied, that also goes for tables that another pending file creates.
- A finding is one line; \`--explain\` adds the line of the file, the lock, the reason and the safe way. A count for each rule ends the output.
- With a database, what is found in files that are applied already is only counted, and fails nothing; \`--all\` shows it. A file that is named is always shown.
- With a database connection the messages say how big the table is, and about how long the statement takes. The estimates assume 100 MB/s for writing a
  table or an index and 400 MB/s for reading; busy servers and cloud disks are slower. A database that cannot be reached is a warning, and the files
  are linted without it.
- The commands of one ALTER TABLE are judged in the order in which PostgreSQL runs them: what drops, new types, new columns, NOT NULL, keys, other constraints.
- What a DO block or a function does is not looked at, nor, in a file of more than 256 kB, an INSERT behind the first 1,000 (but its syntax is).

## Levels

\`error\` is for what is certain to fail, \`warn\` for what may hurt on a table in use, \`off\` for what not every team wants. A finding with the level \`error\` ends
\`migrate lint\` and \`plan\` with exit code 22; warnings do not. \`up\` does not lint, unless the configuration sets a rule to \`error\`: then it lints what is
pending first, and refuses it before anything is touched.

\`\`\`yaml
migrate:
  lint:
    rules: { drop-column: error, unqualified-name: warn, drop-not-null: off }
\`\`\`

## Allowing something

A comment anywhere in the file, with the reason, which counts for the whole file:

\`\`\`sql
-- pgbosun: allow drop-column the last version that read it is gone
alter table users drop column nickname;
\`\`\`

A comment that allows nothing (any more) is reported as \`unused-allow\`.

## In a workflow of GitHub

\`pgbosun migrate lint --since VERSION --format github\` writes workflow commands, which GitHub shows beside the lines of the pull request. With \`--json\` the document has
\`files\` and \`findings[]\`: \`rule\`, \`level\`, \`file\`, \`path\`, \`line\`, \`column\`, \`message\`, \`why\`, \`lock\`, \`rewrite\`, \`table\`, \`cost\`, and with a database \`size_bytes\`, \`rows\`,
\`estimated_ms\` and \`applied\`; those of applied files are among them.
`
