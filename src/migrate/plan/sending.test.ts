import { describe, expect, test } from 'vitest'
import { AppError } from '../../errors.ts'
import type { Script } from '../../formats/types.ts'
import { messageLength } from '../../sql/pieces.ts'
import { refuseUnsendable, refuseUnsendableScript } from '../apply/sendable.ts'
import type { MigrationStep } from '../types.ts'
import { describeUnsendable, isUnsendable, planSending, unsendableError, withoutOwnTransaction } from './sending.ts'

type Case = { transactional?: boolean; foreign?: boolean }

const script = (text: string, extra: Partial<Script> = {}): Script => ({
  path: 'migrations/001_x.sql',
  text,
  line: 1,
  transactional: true,
  ...extra,
})
const ours = { transactional: true, foreign: false }
const outside = { transactional: false, foreign: false }
const foreign = { transactional: true, foreign: true }

const sendingOf = (text: string, { transactional = true, foreign = false }: Case = {}) =>
  planSending(script(text, { transactional }), { foreign })

/** What is refused, and the text from there on. */
function refused(text: string, how?: Case) {
  const sending = sendingOf(text, how)
  return isUnsendable(sending) ? [sending.kind, text.slice(sending.at)] : sending
}

/** What is sent on its own, each with why it cannot be in a transaction with the record of it. */
function units(text: string, how: Case = outside) {
  const sending = sendingOf(text, how)
  return 'units' in sending ? sending.units.map(({ text, alone }) => [text, alone]) : sending
}

describe('as one message', () => {
  test.each([
    ['several statements', 'create table a (); create table b ();', ours],
    ['a comment alone', '-- nothing yet', ours],
    ['nothing at all', '', ours],
    ['nothing at all outside a transaction, of a tool that does not mind', '', { ...foreign, transactional: false }],
    ['a word of a transaction in a string', `select 'commit;'`, ours],
  ])('one message carries %s', (_, text, how) => {
    expect(sendingOf(text, how)).toEqual({ mode: 'wrapped', text, isolation: undefined })
  })

  test('one message has blanks for the lines of pg_dump that only psql knows', () => {
    const restrict = '\\restrict abc'
    expect(sendingOf(`${restrict}\nselect 1;`)).toEqual({
      mode: 'wrapped',
      text: `${' '.repeat(restrict.length)}\nselect 1;`,
      isolation: undefined,
    })
  })

  test.each([
    ['begin; select 1; commit;', '       select 1;        ', undefined],
    ['start transaction; select 1; end;', '                   select 1;     ', undefined],
    ['BEGIN WORK; select 1; COMMIT TRANSACTION', '            select 1;                   ', undefined],
    [
      'begin isolation level serializable; select 1; commit;',
      '                                    select 1;        ',
      'isolation level serializable',
    ],
    [
      'begin; set transaction isolation level repeatable read; select 1; commit;',
      '                                                        select 1;        ',
      'isolation level repeatable read',
    ],
  ])('the transaction that a file of another tool has around it is not sent: %s', (text, sent, isolation) => {
    expect(sendingOf(text, foreign)).toEqual({ mode: 'wrapped', text: sent, isolation })
  })

  test.each([
    ['set transaction isolation level read committed; select 1', 'isolation level read committed'],
    ['SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED; select 1', 'ISOLATION LEVEL READ UNCOMMITTED'],
  ])('the isolation level is taken out where the file says it first: %s', (text, isolation) => {
    const length = text.indexOf(';') + 1
    expect(sendingOf(text)).toEqual({ mode: 'wrapped', text: `${' '.repeat(length)} select 1`, isolation })
  })

  test.each([
    'set transaction read only; select 1',
    'set transaction isolation level serializable, read only; select 1',
    'select 1; set transaction isolation level serializable',
    'reset transaction isolation level serializable; select 1',
  ])('what else is set is left to the server: %s', (text) => {
    expect(sendingOf(text)).toEqual({ mode: 'wrapped', text, isolation: undefined })
  })
})

describe('as several messages in one transaction', () => {
  test('rows for COPY stand between messages', () => {
    const text = 'create table t (a int);\ncopy t from stdin;\n1\n\\.\nselect 2;'
    expect(sendingOf(text)).toEqual({
      mode: 'pieces',
      isolation: undefined,
      pieces: [
        { kind: 'sql', text: 'create table t (a int);\n', start: 0 },
        { kind: 'copy', text: 'copy t from stdin', start: 24, data: { start: 43, end: 45 } },
        { kind: 'sql', text: 'select 2;', start: 48 },
      ],
    })
  })

  test('a table named stdout gets the rows that stand below its COPY', () => {
    expect(sendingOf('copy stdout from stdin;\n1\n\\.\n')).toMatchObject({ mode: 'pieces' })
  })

  test('a COPY alone keeps the isolation level', () => {
    const text = 'set transaction isolation level serializable;\ncopy t from stdin;\n\\.\n'
    expect(sendingOf(text)).toMatchObject({
      mode: 'pieces',
      isolation: 'isolation level serializable',
      pieces: [{ kind: 'copy', text: 'copy t from stdin' }],
    })
  })

  test('a file that is longer than one message is several', () => {
    const [long, short] = [messageLength + 1, messageLength].map((length) => `select 1;${' '.repeat(length - 9)}`)
    expect([sendingOf(long!), sendingOf(short!)].map((sending) => 'mode' in sending && sending.mode)).toEqual([
      'pieces',
      'wrapped',
    ])
  })
})

describe('statement by statement', () => {
  test.each([
    ['what cannot be in a transaction', 'vacuum; select 1', ours, 'VACUUM'],
    ['a file that asks for it', 'select 1', outside, 'the file asks for it'],
    ['a file that asks for it and has transactions', 'begin; select 1; commit', outside, 'the file asks for it'],
    ['a file of another tool with transactions', 'select 1; commit', foreign, 'it has its own transactions'],
    [
      'both, where the statement is the reason',
      'begin; select 1; commit; create index concurrently on t (a)',
      foreign,
      'CREATE INDEX CONCURRENTLY',
    ],
  ])('split is %s', (_, text, how, why) => {
    expect(sendingOf(text, how)).toMatchObject({ mode: 'split', why })
  })

  test('of each statement it is known whether it can be in one transaction with the record of it', () => {
    const text = `select 1; vacuum t; call p(); do $$ begin commit; end $$; do $$ begin null; end $$; savepoint a; insert into t values (1)`
    expect(units(text)).toEqual([
      ['select 1', undefined],
      ['vacuum t', 'VACUUM'],
      ['call p()', 'CALL'],
      ['do $$ begin commit; end $$', 'DO'],
      ['do $$ begin null; end $$', undefined],
      ['savepoint a', 'SAVEPOINT'],
      ['insert into t values (1)', undefined],
    ])
  })

  test('what stands between BEGIN and COMMIT stays together, and it is known where the COMMIT begins', () => {
    const text = 'select 1;\nbegin;\n select 2;\ncommit;\nselect 3'
    expect(sendingOf(text, outside)).toEqual({
      mode: 'split',
      why: 'the file asks for it',
      units: [
        { text: 'select 1', start: 0, end: 8, alone: undefined, copy: undefined, commitAt: undefined },
        {
          text: 'begin;\n select 2;\ncommit',
          start: 10,
          end: 34,
          alone: undefined,
          copy: undefined,
          commitAt: 18,
        },
        { text: 'select 3', start: 36, end: 44, alone: undefined, copy: undefined, commitAt: undefined },
      ],
    })
  })

  test.each([
    ['begin; select 1; end', undefined],
    ['START TRANSACTION; select 1; COMMIT AND NO CHAIN', undefined],
    ['begin; select 1; rollback', 'its own transaction'],
    ['begin; select 1; abort', 'its own transaction'],
    ['begin; select 1; rollback and no chain', 'its own transaction'],
    [`begin; select 1; prepare transaction 'x'`, 'its own transaction'],
    ['begin; savepoint a; rollback to a; rollback to savepoint a; commit', undefined],
    [`begin; select 1; prepare p as select 1; commit`, undefined],
    [`begin; commit prepared 'x'; commit`, undefined],
  ])('one transaction is sent together: %s', (text, alone) => {
    expect(units(`${text}; select 2`)).toEqual([
      [text, alone],
      ['select 2', undefined],
    ])
  })

  test.each<[string, string | undefined]>([
    ['set transaction read only', undefined],
    ['reset transaction_isolation', undefined],
    [`prepare transaction 'x'`, 'PREPARE'],
  ])('no transaction begins with %s', (text, alone) => {
    expect(units(`${text}; select 1; commit`)).toEqual([
      [text, alone],
      ['select 1', undefined],
      ['commit', 'COMMIT'],
    ])
  })

  test('a prepared transaction ends outside of one', () => {
    expect(units(`begin; select 1; prepare transaction 'x'; commit prepared 'x'`)).toEqual([
      [`begin; select 1; prepare transaction 'x'`, 'its own transaction'],
      [`commit prepared 'x'`, 'COMMIT PREPARED'],
    ])
  })

  test('a group that ends in a ROLLBACK has no COMMIT to put the record before', () => {
    expect(sendingOf('begin; rollback', outside)).toMatchObject({ units: [{ commitAt: undefined }] })
  })

  test('each COPY gets the rows that stand below it', () => {
    const sending = sendingOf('copy a from stdin;\n1\n\\.\nselect 1;\ncopy b from stdin;\n2\n\\.\n', outside)
    expect('units' in sending && sending.units.map(({ text, copy }) => [text, copy?.kind, copy?.data])).toEqual([
      ['copy a from stdin', 'copy', { start: 19, end: 21 }],
      ['select 1', undefined, undefined],
      ['copy b from stdin', 'copy', { start: 53, end: 55 }],
    ])
  })
})

describe('a transaction around the whole file', () => {
  test.each([
    ['says more than the level', 'begin read only; select 1; commit;'],
    ['says that in another order', 'begin isolation level serializable read only; select 1; commit;'],
    ['begins after the first statement', 'select 0; begin; select 1; commit;'],
    ['ends before the last statement', 'begin; select 1; commit; select 2'],
    ['is two', 'begin; select 1; commit; begin; select 2; commit;'],
    ['has a savepoint in it', 'begin; savepoint a; commit;'],
    ['ends in a ROLLBACK', 'begin; select 1; rollback;'],
    ['ends AND NO CHAIN', 'begin; select 1; commit and no chain;'],
    ['is an end alone', 'commit'],
  ])('a transaction around a file stays where it %s', (_, text) => {
    expect(sendingOf(text, foreign)).toMatchObject({ mode: 'split', why: 'it has its own transactions' })
    expect(withoutOwnTransaction(text)).toBeUndefined()
  })

  test.each([
    ['begin; select 1; commit;', '       select 1;        '],
    ['-- x\nstart transaction; select 1; end', '-- x\n                   select 1;    '],
  ])('a transaction around a text can be taken out: %s', (text, bare) => {
    expect(withoutOwnTransaction(text)).toBe(bare)
  })

  test('the isolation level stays where the transaction began', () => {
    expect(withoutOwnTransaction('-- x\nbegin isolation level serializable; select 1; commit')).toBe(
      '-- x\nset transaction isolation level serializable;                                    select 1;       ',
    )
  })
})

describe('refused', () => {
  test.each<[string, string, Case, string, string]>([
    ['a text that ends in a comment', 'select 1; /* a', ours, 'migration', '/* a'],
    ['a command of psql', 'select 1;\n\\connect x', ours, 'migration', '\\connect x'],
    ['a COPY without its rows', 'select 1; copy t from stdin;', ours, 'migration', 'copy t from stdin;'],
    ['a COPY whose rows do not end', 'copy t from stdin;\n1\n', ours, 'migration', 'copy t from stdin;\n1\n'],
    ['a COPY to the client', 'copy t to stdout; select 1', ours, 'migration', 'copy t to stdout; select 1'],
    ['a transaction of its own', 'select 1; commit; select 2', ours, 'lint', 'commit; select 2'],
    ['nothing to run outside a transaction', '-- x\n', outside, 'lint', ''],
    ['a transaction that is not ended', 'select 1; begin; select 2', outside, 'lint', 'begin; select 2'],
    [
      'a COMMIT with the next beginning',
      'begin; commit and chain; commit',
      outside,
      'lint',
      'commit and chain; commit',
    ],
    ['an ABORT with the next beginning', 'begin; abort and chain; end', outside, 'lint', 'abort and chain; end'],
    ['an END with the next beginning', 'begin; end and chain; end', outside, 'lint', 'end and chain; end'],
    ['a ROLLBACK with the next', 'begin; rollback and chain; end', outside, 'lint', 'rollback and chain; end'],
    [
      'rows within a transaction of its own',
      'begin; copy t from stdin;\n1\n\\.\ncommit',
      outside,
      'lint',
      'copy t from stdin;\n1\n\\.\ncommit',
    ],
  ])('refused is %s', (_, text, how, kind, at) => {
    expect(refused(text, how)).toEqual([kind, at])
  })

  test.each([
    ['a COPY before an open string', `copy t to stdout; select '`, 'copy t to stdout'],
    ['a COPY from the client before one to it', 'copy t from stdin; copy t to stdout;\n\\x', 'copy t from stdin'],
    ['a COPY to the client before one from it', 'copy t to stdout; copy t from stdin; /*', 'copy t to stdout'],
  ])('of several things that are wrong, refused is %s', (_, text, at) => {
    const sending = sendingOf(text)
    expect(isUnsendable(sending) && text.slice(sending.at).startsWith(at)).toBe(true)
  })

  test('a refusal names the command of psql, and nothing more of its line', () => {
    expect(sendingOf('select 1;\n\\connect shop')).toMatchObject({ message: expect.stringMatching(/ \\connect$/) })
  })

  test('a refusal names the word that began or ended a transaction', () => {
    expect(sendingOf('rollback')).toMatchObject({ message: expect.stringMatching(/ ROLLBACK$/) })
  })
})

describe('a refusal as an error', () => {
  const commit = script('select 1;\n commit;', { line: 7 })

  test('an error has the line of the file, the column, and the line itself', () => {
    const sending = planSending(commit, { foreign: false })
    if (!isUnsendable(sending)) throw new Error('it is not refused')
    expect(describeUnsendable(commit, sending)).toEqual({
      detail: `${sending.message}, line 8`,
      line: 8,
      column: 2,
      excerpt: '  8 |  commit;\n    |  ^',
    })
    const error = unsendableError('001_x', commit, sending)
    expect(error).toMatchObject({
      kind: 'lint',
      hint: sending.hint,
      place: { file: 'migrations/001_x.sql', line: 8, column: 2 },
      excerpt: '  8 |  commit;\n    |  ^',
    })
    expect(error.message).toBe(`001_x ${sending.message}, line 8`)
  })

  test('an error shows the text without the values that were put into it', () => {
    const secret = script(`select 'hush'; commit;`, { shown: `select '…'; commit;` })
    const sending = planSending(secret, { foreign: false })
    expect(isUnsendable(sending) && describeUnsendable(secret, sending)).toMatchObject({
      line: 1,
      column: 1,
      excerpt: expect.stringContaining(`select '…'; commit;`),
    })
  })

  test('an error counts columns in code points', () => {
    const emoji = script(`select '🐘'; commit`)
    const sending = planSending(emoji, { foreign: false })
    expect(isUnsendable(sending) && describeUnsendable(emoji, sending).column).toBe(13)
  })

  const step = (name: string, text: string, extra: Partial<MigrationStep> = {}): MigrationStep => ({
    ...{ ...script(text), id: name, name, kind: 'versioned', sha256: '', checksum: '', native: {}, reason: '' },
    ...{ sending: sendingOf(text), fake: false, before: undefined, resume: undefined },
    ...extra,
  })

  test.each<[string, MigrationStep[], string | undefined]>([
    ['nothing', [step('1_x', 'select 1')], undefined],
    ['the first that cannot be sent', [step('1_x', 'select 1'), step('2_x', 'commit'), step('3_x', 'end')], '2_x'],
    ['none that is only recorded', [step('1_x', 'commit', { fake: true })], undefined],
    [
      'first what its tool could not read',
      [step('1_x', 'commit'), step('2_x', 'select 1', { refused: new AppError('usage', '2_x is odd') })],
      '2_x',
    ],
    [
      'none that its tool could not read where it is only recorded',
      [step('1_x', 'select 1', { refused: new AppError('usage', '1_x is odd'), fake: true })],
      undefined,
    ],
  ])('of steps that cannot be sent, refused is %s', (_, steps, name) => {
    let message: string | undefined
    try {
      refuseUnsendable(steps)
    } catch (error) {
      message = (error as Error).message
    }
    expect(message?.split(' ')[0]).toBe(name)
  })

  test('a script is refused only where it cannot be sent', () => {
    expect(() => refuseUnsendableScript('1_x', commit, planSending(commit, { foreign: false }))).toThrow(/^1_x /)
    for (const text of ['select 1', 'vacuum', 'copy t from stdin;\n1\n\\.\n'])
      expect(refuseUnsendableScript('1_x', script(text), sendingOf(text))).toBeUndefined()
  })
})
