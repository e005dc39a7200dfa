import { expect, test } from 'vitest'
import type { TocEntry } from '../archive/toc.ts'
import { ownerStatement, privilegeStatements } from './owners.ts'

const entry = (more: Partial<TocEntry>): TocEntry => ({
  ...{ id: 1, desc: 'TABLE', tag: 't', section: 'pre-data', defn: '', dropStmt: '', namespace: 'app', tablespace: '' },
  ...{ owner: 'o', dependencies: [], ...more },
})

test.for([
  [
    { desc: 'TABLE', tag: 'x"; drop table y; --\nz' },
    ['alter TABLE "app"."x""; drop table y; --\nz" owner to "a ""b""";'],
  ],
  [
    { desc: 'FUNCTION', dropStmt: 'DROP FUNCTION app."f;"(integer);\n' },
    ['alter FUNCTION app."f;"(integer) owner to "a ""b""";'],
  ],
  [
    { desc: 'OPERATOR CLASS', dropStmt: 'DROP OPERATOR CLASS app.c USING btree;\n' },
    ['alter OPERATOR CLASS app.c USING btree owner to "a ""b""";'],
  ],
  [{ desc: 'SCHEMA', tag: 'app', namespace: '' }, ['alter SCHEMA "app" owner to "a ""b""";']],
  [{ desc: 'BLOB', tag: '4711' }, ['alter LARGE OBJECT 4711 owner to "a ""b""";']],
  [
    { desc: 'BLOB METADATA', tag: '1..2', defn: '1\n2\n' },
    ['alter LARGE OBJECT 1 owner to "a ""b""";', 'alter LARGE OBJECT 2 owner to "a ""b""";'],
  ],
  [{ desc: 'INDEX' }, []],
  [{ desc: 'CAST' }, []],
] as const)('%j', ([more, expected]) => {
  expect(ownerStatement(entry(more), 'a "b"')).toEqual(expected)
})

test('privileges are as the archive has them', () => {
  const acl = entry({ desc: 'ACL', tag: 'TABLE t', defn: 'GRANT SELECT ON TABLE app.t TO r;\n' })
  expect(privilegeStatements(acl, [])).toEqual(['GRANT SELECT ON TABLE app.t TO r;\n'])
})

test('those of many large objects are written once, and given to each', () => {
  const group = entry({ id: 7, desc: 'BLOB METADATA', defn: '11\n12\n' })
  const acl = entry({
    desc: 'ACL',
    tag: 'LARGE OBJECTS 11..12',
    defn: 'REVOKE ALL ON LARGE OBJECT 11 FROM o;\nGRANT SELECT ON LARGE OBJECT 11 TO "GRANT ALL ON LARGE OBJECT 11";\n',
    dependencies: [7],
  })
  expect(privilegeStatements(acl, [group, acl])).toEqual([
    'REVOKE ALL ON LARGE OBJECT 11 FROM o;\nGRANT SELECT ON LARGE OBJECT 11 TO "GRANT ALL ON LARGE OBJECT 11";',
    'REVOKE ALL ON LARGE OBJECT 12 FROM o;\nGRANT SELECT ON LARGE OBJECT 12 TO "GRANT ALL ON LARGE OBJECT 11";',
  ])
})
