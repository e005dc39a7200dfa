import { expect, test } from 'vitest'
import { preparePassword } from './prepare-password.ts'
import { makeVerifier, matchesVerifier } from './scram.ts'

const pencil =
  'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU='
const plain = (password: string) => ({ password, prepared: password })

test('the verifier of a known password, salt and iteration count is the one PostgreSQL makes', () => {
  const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
  expect(makeVerifier('pencil', { salt, iterations: 4096 })).toBe(pencil)
})

test.each([
  ['the right password', pencil, 'pencil', 'yes'],
  ['another password', pencil, 'pencils', 'no'],
  ['no password at all', null, 'pencil', 'no'],
  [
    'other iterations than the server uses now',
    makeVerifier('x', { salt: Buffer.alloc(16, 7), iterations: 5000 }),
    'x',
    'yes',
  ],
  ['an md5 hash of the right password', 'md563c9aec143c760151c7b661829b79762', 'pencil', 'outdated'],
  ['an md5 hash of another password', 'md563c9aec143c760151c7b661829b79762', 'pencils', 'no'],
  ['something that is no verifier', 'pencil', 'pencil', 'no'],
  ['a verifier with a newline behind it', `${pencil}\n`, 'pencil', 'no'],
])('a stored form is compared with the password: %s', (_, stored, password, result) => {
  expect(matchesVerifier(stored, plain(password), 'shop')).toBe(result)
})

test.each([
  ['printable ASCII stays as it is', `a 'b' "c" \\ $d$ ~`, `a 'b' "c" \\ $d$ ~`],
  ['a compatibility character is normalised', 'ﬁsh', 'fish'],
  ['a non-ASCII space becomes a space', 'a\u00a0b', 'a b'],
  ['composed letters stay', 'pässwörd', 'pässwörd'],
  ['what is prohibited is used byte by byte', 'é\u0007ﬁ', 'é\u0007ﬁ'],
  ['what would become empty is used byte by byte', '\u00ad', '\u00ad'],
])('a password is prepared as the server does: %s', async (_, password, prepared) => {
  expect(await preparePassword(password)).toBe(prepared)
})
