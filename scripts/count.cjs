// Prints `passed failed skipped` of a vitest JSON report. Arguments: the report, vitest's exit code.
// A run that failed without a failed test (a file that does not load, a server that does not start) counts as one failure.
const [report, code] = process.argv.slice(2)

let counts = { numPassedTests: 0, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0 }
try {
  counts = JSON.parse(require('node:fs').readFileSync(report, 'utf8'))
} catch {
  // vitest ended before it wrote one
}
const failed = Math.max(counts.numFailedTests, code === '0' ? 0 : 1)
console.log(counts.numPassedTests, failed, counts.numPendingTests + counts.numTodoTests)
