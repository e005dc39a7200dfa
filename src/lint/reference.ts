// pure
import { hazards } from './coverage.ts'
import { grammarMajor } from './grammar.ts'
import { lintFiles } from './lint.ts'
import type { Rule } from './rule.ts'
import { rules } from './rules.ts'
import type { Parser } from './statement.ts'

/** The reference page, docs/lint.md: how linting works, and every rule with an example and the safe way. */
export function renderLintReference(parser: Parser): string {
  return [
    introduction,
    '## Rules',
    '',
    '| rule | level | lock | what it reports |',
    '|---|---|---|---|',
    ...rules.map(
      (rule) => `| [\`${rule.name}\`](#${rule.name}) | ${rule.level} | ${rule.lock ?? ''} | ${seenBy(rule)} |`,
    ),
    '',
    ...rules.map((rule) => section(rule, parser)),
    '## Hazards without a rule',
    '',
    '| hazard | why |',
    '|---|---|',
    ...hazards.flatMap(({ hazard, note }) => (note === undefined ? [] : [`| ${hazard} | ${note} |`])),
    '',
  ].join('\n')
}

/** What a rule reports, in a few words. */
const seenBy = (rule: Rule) => hazards.find(({ rules }) => rules.includes(rule.name))?.hazard ?? ''

function section(rule: Rule, parser: Parser): string {
  const { name, level, lock, why, example } = rule
  const [found] = findingsOf(rule, parser)
  return [
    `### ${name}`,
    '',
    `**${seenBy(rule)}.** Level \`${level}\`${lock ? `, takes \`${lock}\`` : ''}.`,
    '',
    why,
    '',
    ...sql(`${example}${/\\/.test(example) ? '' : ';'}`),
    '',
    ...(found?.rewrite ? [labelOf(found.rewrite), '', ...sql(found.rewrite), ''] : []),
  ].join('\n')
}

/** What introduces the SQL to write instead: where only a decision makes the statement safe, that is the same with a comment. */
const labelOf = (rewrite: string) => (rewrite.startsWith('-- pgbosun: allow') ? 'If it is intended:' : 'Safe:')

const sql = (text: string) => ['```sql', text, '```']

/** What a rule finds in its own example. */
export function findingsOf({ name, example, mode = 'wrapped' }: Rule, parser: Parser) {
  const file = { name: 'example', path: 'example.sql', text: example, line: 1, mode, demanded: mode === 'split' }
  return lintFiles({ parser, files: [file], levels: { [name]: 'warn' } }).filter(({ rule }) => rule === name)
}

const introduction = `# Lint

<!-- Made by \`npm run docs\` from src/lint: do not edit. -->

\`pgbosun migrate lint [FILES…] [--since VERSION] [--all] [--explain] [--format text|github]\` finds what is dangerous in migrations: locks that stop the
application, rewrites of whole tables, lost data, statements that are bound to fail. It reads the files with PostgreSQL's own grammar
(libpg-query, PostgreSQL ${grammarMajor}), so it needs no server, and it shows syntax errors with their line and a caret. \`plan\` lints the pending files.

- It lints files of every format. In files with sections it lints the section that is applied.
- A statement on a table that the same file creates is exempt, since nobody uses that table yet. With \`--since VERSION\`, or with a database that knows
  which files are applied, so is a statement on a table that another pending file creates.
- Each finding is one line. \`--explain\` adds the line of the file, the lock, the reason and the safe way. The output ends with a count for each rule.
- With a database, findings in files that are already applied are only counted, and do not fail the command; \`--all\` shows them. Findings in files that
  you name are always shown.
- With a database, the messages also say how big the table is and roughly how long the statement takes. The estimates assume 100 MB/s for writing a
  table or an index and 400 MB/s for reading; busy servers and cloud disks are slower. If the database cannot be reached, there is a warning, and the
  files are linted without it.
- The commands of one ALTER TABLE are judged in the order in which PostgreSQL runs them: drops, new types, new columns, NOT NULL, keys, other constraints.
- A newer server may know statements that the grammar does not, such as \`repack\` of PostgreSQL 19. If the database is on such a server, or
  \`lint.server\` says so, a syntax error is a warning, and the rest of the file is linted all the same.
- The bodies of DO blocks and functions are not linted. In a file of more than 256 kB only the first 1,000 INSERTs are linted, but the syntax of all of
  them is checked.

## Levels

\`error\` is for what is certain to fail, \`warn\` for what may hurt on a table in use, \`off\` for what not every team wants. A finding with the level \`error\` ends
\`migrate lint\` and \`plan\` with exit code 22; warnings do not. \`up\` only lints if the configuration sets a rule to \`error\`: then it lints the
pending files first, and refuses them before anything is changed.

\`\`\`yaml
migrate:
  lint:
    rules: { drop-column: error, unqualified-name: warn, drop-not-null: off }
\`\`\`

## Allowing something

Write a comment anywhere in the file, with the rule and the reason. It applies to the whole file:

\`\`\`sql
-- pgbosun: allow drop-column the last version that read it is gone
alter table users drop column nickname;
\`\`\`

A comment that allows nothing, or no longer does, is reported as \`unused-allow\`.

## In a GitHub workflow

\`pgbosun migrate lint --since VERSION --format github\` writes workflow commands, which GitHub shows beside the lines of the pull request. With \`--json\` the document has
\`files\` and \`findings[]\`: \`rule\`, \`level\`, \`file\`, \`path\`, \`line\`, \`column\`, \`message\`, \`why\`, \`lock\`, \`rewrite\`, \`table\`, \`cost\`, and with a database \`size_bytes\`, \`rows\`,
\`estimated_ms\` and \`applied\`. The findings in applied files are included.
`
