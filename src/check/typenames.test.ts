import { expect, test } from 'vitest'
import { typeMeaning } from './typenames.ts'

test.for([
  ['int8', 'bigint'],
  ['BIGSERIAL', 'bigint'],
  ['varchar(20)', 'character varying(20)'],
  ['varchar', 'character varying'],
  ['char', 'character(1)'],
  ['timestamptz', 'timestamp with time zone'],
  ['timestamptz(3)', 'timestamp(3) with time zone'],
  ['timestamp', 'timestamp without time zone'],
  ['time(0)', 'time(0) without time zone'],
  ['decimal(10, 2)', 'numeric(10,2)'],
  ['numeric(10)', 'numeric(10,0)'],
  ['int[]', 'integer[]'],
  ['varchar(5)[][3]', 'character varying(5)[]'],
  ['public.citext', 'citext'],
  ['pg_catalog.int4', 'integer'],
  ['app."Mood"', 'app."Mood"'],
  ['double  precision', 'double precision'],
])('%s means %s', ([declared, meaning]) => {
  expect(typeMeaning(declared!)).toBe(meaning)
  expect(typeMeaning(meaning!)).toBe(meaning)
})

test.for([
  ['varchar(20)', 'varchar(30)'],
  ['varchar(20)', 'varchar'],
  ['timestamp', 'timestamptz'],
  ['numeric', 'numeric(10,2)'],
  ['text', 'text[]'],
  ['app.mood', 'mood'],
])('%s does not mean %s', ([one, other]) => {
  expect(typeMeaning(one!)).not.toBe(typeMeaning(other!))
})
