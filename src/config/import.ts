import * as z from 'zod'
import { loginSecret, noUrl } from './fields.ts'
import { predicates } from './predicates.ts'
import { urlSource } from './url-source.ts'

/** Where the first rows come from: a SQLite file, another PostgreSQL, or a backup. */
export const importKeys = z
  .strictObject({
    sqlite: noUrl('the path of a file').optional().meta({
      description:
        'A file of SQLite 3, or the text that `sqlite3 FILE .dump` writes. Its rows are imported once, after the migrations, into empty tables. The import is recorded under the name of the file, without its folder.',
    }),
    url: urlSource.optional().meta({
      description:
        'Another PostgreSQL: the database of this URL is imported once, before the migrations, in place of an empty one. It is only read, as a role that may read everything.',
    }),
    password: loginSecret.optional().meta({ description: 'Password for a `url` without one.' }),
    backup: z.string().min(1).optional().meta({
      description:
        '`latest` or the id of a backup in the stores of `backup`: it is restored once, before the migrations, in place of an empty database.',
    }),
    database: z.string().min(1).optional().meta({
      description: 'With `backup`: the name that the database had where it was backed up. Default: that of the target.',
    }),
    cluster: z.string().min(1).optional().meta({
      description:
        'With `backup`: the system identifier of the server it was made on, where the store has backups of several.',
    }),
    after: noUrl('the path of a file').optional().meta({
      description:
        'With `url` or `backup`: a file of SQL that runs in the imported database, with the rights of its owner and in one transaction, before anybody else may connect to it. If it fails, nothing is imported.',
    }),
    schema: z.string().min(1).optional().meta({
      description:
        'With `sqlite`: schema of the tables, `public` by default. Where it has none of the tables of the file, they are created from the file; otherwise it must have all of them.',
    }),
    types: z.record(z.string(), z.string()).optional().meta({
      description:
        'With `sqlite`: types that the file does not declare, by column: `users.id: uuid`, `users.created: timestamptz/ms`. `import --plan` proposes them.',
    }),
    exclude: z.array(z.string().min(1)).prefault([]).meta({
      description:
        'Tables that are not imported: of the file, or with `url` `schema.table`, where `*` stands for any characters and `?` for one.',
    }),
  })
  .refine(predicates.importsFromOne, 'set one of `sqlite`, `url` and `backup`')
  .refine(
    predicates.importsWithItsKeys,
    '`schema` and `types` are for `sqlite`, `password` for `url`, `database` and `cluster` for `backup`, `after` for `url` and `backup`, `exclude` for `sqlite` and `url`',
  )
  .optional()
