// Prints the ten slowest tests and the ten slowest files of vitest JSON reports, with the part of the run that they belong to.
// Arguments: files PART.json. The times are what a stop watch says: other tests and programs ran beside them.
const { basename, relative } = require('node:path')

const read = (path) => {
  try {
    return JSON.parse(require('node:fs').readFileSync(path, 'utf8')).testResults
  } catch {
    return [] // vitest ended before: count.cjs has said so
  }
}

const files = process.argv
  .slice(2)
  .flatMap((path) => read(path).map((file) => ({ ...file, part: basename(path, '.json') })))
  .map(({ name, part, startTime, endTime, assertionResults }) => {
    const file = `${part} ${relative('.', name)}`
    const tests = assertionResults.map(({ fullName, duration = 0 }) => ({ what: `${file}: ${fullName}`, ms: duration }))
    return { what: file, ms: endTime - startTime, tests }
  })

for (const [title, items] of [
  ['the slowest tests', files.flatMap(({ tests }) => tests)],
  ['the slowest files', files],
]) {
  if (items.length > 0) console.log(`== ${title}`)
  const slowest = items.sort((a, b) => b.ms - a.ms).slice(0, 10)
  for (const { what, ms } of slowest) console.log(`${(ms / 1000).toFixed(1).padStart(7)} s  ${what.slice(0, 150)}`)
}
