import { defineConfig } from 'vitest/config'

const parts = process.env.MUTANTS_FOLDER?.split('/') ?? ['src']

/** Tests in the folder whose files are changed, and in those above it: what only a test elsewhere notices is not tested. */
const include = parts.map((_, i) => `${parts.slice(0, i + 1).join('/')}/*.test.ts`)

export default defineConfig({ test: { include, testTimeout: 60_000 } })
