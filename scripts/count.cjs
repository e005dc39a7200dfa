// Prints `passed failed skipped` of a vitest JSON report, and on stderr each failure with the beginning of its message, including
// those of tests that passed on their second attempt.
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

const problems = counts.testResults.flatMap(({ name, status, message, assertionResults }) => {
  const file = relative('.', name)
  const tests = assertionResults
    .filter(({ failureMessages }) => failureMessages.length > 0)
    .map((test) => ({
      word: test.status === 'failed' ? 'FAILED' : 'UNSTABLE, passed at its second try',
      what: `${file}: ${test.fullName}`,
      why: test.failureMessages.join('\n'),
    }))
  const isBroken = status === 'failed' && !tests.some(({ word }) => word === 'FAILED')
  return isBroken ? [...tests, { word: 'FAILED', what: file, why: message }] : tests
})
const failed = () => problems.filter(({ word }) => word === 'FAILED').length
if (failed() === 0 && (code !== '0' || !written)) {
  const why = `it ended with ${code}${written ? '' : ' and no report'}: its output says why`
  problems.push({ word: 'FAILED', what: 'vitest', why })
}

for (const { word, what, why } of problems) {
  console.error(`${word}: ${what}`)
  for (const line of why.split('\n').slice(0, 30)) console.error(`    ${line}`)
}
console.log(counts.numPassedTests, failed(), counts.numPendingTests + counts.numTodoTests)
