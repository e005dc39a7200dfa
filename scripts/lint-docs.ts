/** Prints docs/lint.md; part of `npm run docs`. */
import { loadParser } from '../src/migrate/lint/parse.ts'
import { renderLintReference } from '../src/migrate/lint/reference.ts'

process.stdout.write(renderLintReference(await loadParser()))
