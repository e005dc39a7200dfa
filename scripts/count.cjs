// Prints `passed failed skipped` of a vitest JSON report, and on stderr each failure with the beginning of its message.
// Arguments: the report, vitest's exit code.
// A file that fails without a failed test (it does not load) and a run that fails without either count as one failure each.
const { relative } = require('node:path')

const [report, code] = process.argv.slice(2)

let counts = { numPassedTests: 0, numPendingTests: 0, numTodoTests: 0, testResults: [] }
let written = true
try {
  counts = JSON.parse(require('node:fs').readFileSync(report, 'utf8'))
} catch {
  written = false // vitest ended before
}

const failures = counts.testResults.flatMap(({ name, status, message, assertionResults }) => {
  const tests = assertionResults.filter((test) => test.status === 'failed')
  const file = relative('.', name)
  if (status === 'failed' && tests.length === 0) return [{ what: file, why: message }]
  return tests.map(({ fullName, failureMessages }) => ({
    what: `${file}: ${fullName}`,
    why: failureMessages.join('\n'),
  }))
})
if (failures.length === 0 && (code !== '0' || !written)) {
  failures.push({ what: 'vitest', why: `it ended with ${code}${written ? '' : ' and no report'}: its output says why` })
}

for (const { what, why } of failures) {
  console.error(`FAILED: ${what}`)
  for (const line of why.split('\n').slice(0, 30)) console.error(`    ${line}`)
}
console.log(counts.numPassedTests, failures.length, counts.numPendingTests + counts.numTodoTests)
