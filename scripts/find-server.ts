/** Prints the folder of the PostgreSQL server binaries that the tests and the quick start use, if there is one. */
import { findServerBinaries } from './server.ts'

const [dir] = findServerBinaries()
if (dir !== undefined) console.log(dir)
