import { describe, expect, test } from 'vitest'
import { sendRows } from './rows.ts'

/** The text in pieces of this size, as a pipe may deliver it. */
async function* inPieces(text: string, size: number): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function sent(text: string, size: number) {
  const seen: string[] = []
  const tables = await sendRows(inPieces(text, size), {
    async copy(statement, rows) {
      const parts: Uint8Array[] = []
      for await (const part of rows) parts.push(part)
      seen.push(statement, Buffer.concat(parts).toString())
    },
    async run(statement) {
      seen.push(statement)
    },
  })
  return { tables, seen }
}

const text = `--
-- PostgreSQL database dump
--

\\restrict x

SET statement_timeout = 0;
SELECT pg_catalog.set_config('search_path', '', false);

COPY public.a (n, "ü") FROM stdin;
1\tx \\\\.
\\N\t\\\\.y
\\.


COPY public.none () FROM stdin;
\\.


COPY public."b
 FROM stdin;
c" (n) FROM stdin;
2
\\.


BEGIN;

SELECT pg_catalog.lo_open('4711', 131072);
SELECT pg_catalog.lowrite(0, '\\x00ff');
SELECT pg_catalog.lo_close(0);

COMMIT;

`.replaceAll('\\\\', '\\')

describe('rows', () => {
  test.each([1, 2, 3, 4, 5, 7, 16, 1000])('are sent whole, in pieces of %i bytes', async (size) => {
    expect(await sent(text, size)).toEqual({
      tables: 3,
      seen: [
        'COPY public.a (n, "ü") FROM stdin;',
        '1\tx \\\\.\n\\N\t\\\\.y\n'.replaceAll('\\\\', '\\'),
        'COPY public.none () FROM stdin;',
        '',
        'COPY public."b\n FROM stdin;\nc" (n) FROM stdin;',
        '2\n',
        "SELECT pg_catalog.lo_open('4711', 131072);",
        "SELECT pg_catalog.lowrite(0, '\\x00ff');",
        'SELECT pg_catalog.lo_close(0);',
      ],
    })
  })

  test.each([
    ['another statement', 'DROP TABLE x;\n'],
    ['rows without an end', 'COPY a (n) FROM stdin;\n1\n'],
    ['a statement before the COPY', "COPY a FROM 'x'; COPY b (n) FROM stdin;\n1\n\\.\n"],
    ['a COPY without an end', 'COPY a (n) FROM \n'],
  ])('%s is refused', async (_, bad) => {
    await expect(sent(bad, 1000)).rejects.toMatchObject({ kind: 'restore' })
  })
})
