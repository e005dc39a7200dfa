// Prints `passed failed skipped` of a vitest JSON report. Arguments: the report, vitest's exit code.
// A file that fails without a failed test (it does not load) and a run that fails without either count as one failure each.
const [report, code] = process.argv.slice(2)

let counts = { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0, testResults: [] }
try {
  counts = JSON.parse(require('node:fs').readFileSync(report, 'utf8'))
} catch {
  // vitest ended before it wrote one
}
const broken = counts.testResults.filter(
  ({ status, assertionResults }) => status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
)
const failed = Math.max(counts.numFailedTests + broken.length, code === '0' ? 0 : 1)
console.log(counts.numPassedTests, failed, counts.numPendingTests + counts.numTodoTests)
