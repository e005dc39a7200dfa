import { expect, test } from 'vitest'
import type { Difference, Drift } from './drift.ts'
import { driftJson, renderDrift } from './drift-render.ts'

const difference = (
  what: string,
  declared: string | null,
  live: string | null,
  severity: Difference['severity'] = 'error',
) => ({ what, declared, live, severity })

const body = (line: string) =>
  `CREATE FUNCTION public.f()\n RETURNS trigger\n LANGUAGE plpgsql\nAS $function$\nbegin\n${line}\nend $function$`

const drifts: Drift[] = [
  { state: 'missing', kind: 'table', name: 'public.invoices', severity: 'error', differences: [] },
  { state: 'unexpected', kind: 'table', name: 'public.events_2027', severity: 'note', differences: [] },
  {
    state: 'different',
    kind: 'table',
    name: 'public.users',
    severity: 'error',
    differences: [
      difference('column email', 'text not null', 'character varying(255)'),
      difference('column extra', null, 'text'),
      difference('column order', 'id, email', 'email, id', 'note'),
      difference('index users_email', 'CREATE INDEX users_email ON public.users USING btree (email)', null),
    ],
  },
  {
    state: 'different',
    kind: 'function',
    name: 'public.f()',
    severity: 'error',
    differences: [difference('definition', body('new.at := now();'), body('return null;'))],
  },
]

test('people see what is missing, unexpected and different', () => {
  expect(`\n${renderDrift(drifts).join('\n')}\n`).toMatchInlineSnapshot(`
    "
    - as declared, + in the live database
    missing     table public.invoices
    unexpected  table public.events_2027  (note)
    different   table public.users
      - column email       text not null
      + column email       character varying(255)
      + column extra       text
      - column order       id, email  (note)
      + column order       email, id  (note)
      - index users_email  CREATE INDEX users_email ON public.users USING btree (email)
    different   function public.f()
        definition
          …
            AS $function$
            begin
          - new.at := now();
          + return null;
            end $function$
    "
  `)
})

test('an object that is a note carries the mark once', () => {
  const differences = [difference('comment', 'one', 'two', 'note')]
  expect(
    renderDrift([{ state: 'different', kind: 'table', name: 'public.a', severity: 'note', differences }]).slice(1),
  ).toEqual(['different   table public.a  (note)', '  - comment  one', '  + comment  two'])
})

test('other line endings do not fill the screen', () => {
  const differences = [difference('definition', 'a\nb', 'a\r\nb', 'note')]
  expect(
    renderDrift([{ state: 'different', kind: 'function', name: 'public.f()', severity: 'error', differences }])[2],
  ).toBe('    definition: only the line endings differ  (note)')
})

test('nothing in a name or a comment controls the terminal', () => {
  const differences = [difference('comment', 'fine', '\u001b[2J\u202eabc')]
  const lines = renderDrift([{ state: 'different', kind: 'table', name: '"a\nb"', severity: 'error', differences }])
  expect(lines).toEqual([
    '- as declared, + in the live database',
    'different   table "a\\u000ab"',
    '  - comment  fine',
    '  + comment  \\u001b[2J\\u202eabc',
  ])
})

test('programs get the same, with counts', () => {
  expect(driftJson(drifts)).toMatchObject({ ok: false, error_count: 3, note_count: 1 })
  expect(driftJson(drifts).objects[2]?.differences[1]).toEqual({
    what: 'column extra',
    declared: null,
    live: 'text',
    severity: 'error',
  })
  expect(driftJson(drifts.slice(1, 2))).toMatchObject({ ok: true, error_count: 0, note_count: 1 })
  expect(driftJson([])).toEqual({ ok: true, error_count: 0, note_count: 0, objects: [] })
  expect(renderDrift([])).toEqual([])
})
