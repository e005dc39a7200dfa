/**
 * Installs the migration tools that tests run beside us, so that no test waits for it, and prints a line for each that is not to be had.
 * With `BOSUN_TEST_FULL=1` also those that take long.
 */
import { findTools } from '../test/support/tools.ts'

const { missing } = await findTools()
for (const { name, why } of missing) console.log(`tests with the real ${name}: ${why}`)
