/** Prints docs/lint.md; part of `npm run docs`. */
import { loadParser } from '../src/lint/parse.ts'
import { renderLintReference } from '../src/lint/reference.ts'

process.stdout.write(renderLintReference(await loadParser()))
