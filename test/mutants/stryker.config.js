/**
 * What `run` starts once for each folder.
 * @type {import('@stryker-mutator/api/core').PartialStrykerOptions}
 */
export default {
  plugins: ['@stryker-mutator/vitest-runner', './test/mutants/sentences.js'],
  ignorers: ['sentences'],
  testRunner: 'vitest',
  vitest: { configFile: 'test/mutants/vitest.config.ts' },
  concurrency: 1,
  // A loop without an end is found by counting; this is for a machine that is busy.
  timeoutMS: 60_000,
  // Of a file without a test, every change is shown.
  allowEmpty: true,
  // tsconfig.json too: Stryker would rewrite it with a TypeScript before 7, and Node needs none.
  ignorePatterns: ['/bench', '/changelog', '/dist', '/docs', '/k8s', '/tsconfig.json'],
  disableTypeChecks: false,
  tempDirName: '.cache/mutants',
  cleanTempDir: 'always',
  warnings: { slow: false },
  reporters: ['clear-text'],
  clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
}
