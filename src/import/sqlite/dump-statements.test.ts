import { expect, test } from 'vitest'
import { createDumpReader, judge } from './dump-statements.ts'

const dump = `PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE "a;b" (x TEXT, /* ; */ y INT -- ;
);
INSERT INTO "a;b" VALUES('it''s; --',1);
INSERT INTO "a;b" VALUES(replace('a\\nb','\\n',char(10)),2);
CREATE TRIGGER t AFTER INSERT ON "a;b" BEGIN UPDATE "a;b" SET y = CASE WHEN y THEN 1 END; DELETE FROM "a;b"; END;
COMMIT;
`

test.each([1, 2, 7, 64, 10_000])('statements are found in chunks of %i characters', (size) => {
  const reader = createDumpReader()
  const found: { statement: string; line: number }[] = []
  for (let at = 0; at < dump.length; at += size) found.push(...reader.read(dump.slice(at, at + size)))
  expect(found.map(({ statement }) => statement.trim().slice(0, 24))).toEqual([
    'PRAGMA foreign_keys=OFF',
    'BEGIN TRANSACTION',
    'CREATE TABLE "a;b" (x TE',
    `INSERT INTO "a;b" VALUES`,
    `INSERT INTO "a;b" VALUES`,
    'CREATE TRIGGER t AFTER I',
    'COMMIT',
  ])
  expect(found.map(({ line }) => line)).toEqual([1, 2, 3, 5, 6, 7, 8])
  expect(reader.rest().trim()).toBe('')
})

test.each([
  ['CREATE TABLE a (b)', 'run'],
  ['-- x\n/* y */ INSERT INTO a VALUES (1)', 'run'],
  ['create unique index i on a (b)', 'run'],
  ['DELETE FROM sqlite_sequence', 'run'],
  ['DELETE FROM a', 'refuse'],
  ['CREATE TRIGGER t', 'skip'],
  ['PRAGMA foreign_keys=OFF', 'skip'],
  ['PRAGMA writable_schema=ON', 'virtual'],
  ["INSERT INTO sqlite_schema(type) VALUES('table')", 'virtual'],
  ['PRAGMA temp_store_directory = "/"', 'refuse'],
  ["ATTACH 'x' AS y", 'refuse'],
  ['CREATE TABLESPACE x', 'refuse'],
  ['BEGIN TRANSACTION', 'begin'],
  ['COMMIT', 'commit'],
  ['ROLLBACK', 'rollback'],
  ['hello', 'refuse'],
] as const)('%s: %s', (statement, expected) => {
  expect(judge(statement)).toBe(expected)
})
