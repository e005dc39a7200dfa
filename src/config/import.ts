import * as z from 'zod'
import { noUrl } from './fields.ts'

/** Where the first rows come from. */
export const importKeys = z
  .strictObject({
    sqlite: noUrl('the path of a file').meta({
      description:
        'A file of SQLite 3, or the text that `sqlite3 FILE .dump` writes. Its rows are imported once, after the migrations, into empty tables. The import is recorded under the name of the file, without its folder.',
    }),
    schema: z.string().min(1).prefault('public').meta({
      description:
        'Schema of the tables. Where it has none of the tables of the file, they are created from the file; otherwise it must have all of them.',
    }),
    types: z.record(z.string(), z.string()).prefault({}).meta({
      description:
        'Types that the file does not declare, by column: `users.id: uuid`, `users.created: timestamptz/ms`. `import --plan` proposes them.',
    }),
    exclude: z.array(z.string().min(1)).prefault([]).meta({ description: 'Tables of the file that are not imported.' }),
  })
  .optional()
