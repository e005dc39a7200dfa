// Exits 0 when node_modules holds exactly the locked packages. Runs on any Node.
const lock = (path) => {
  try {
    return JSON.parse(require('node:fs').readFileSync(path, 'utf8')).packages
  } catch {
    return undefined
  }
}

const wanted = lock('package-lock.json')
const installed = lock('node_modules/.package-lock.json')

// optional packages are those of other platforms
const differs = (path) =>
  path !== '' && wanted[path].version !== installed[path]?.version && !(wanted[path].optional && !installed[path])

process.exit(
  !wanted || !installed || Object.keys(wanted).some(differs) || Object.keys(installed).some((path) => !wanted[path])
    ? 1
    : 0,
)
