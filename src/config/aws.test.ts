import { expect, test } from 'vitest'
import { signRdsToken } from './aws.ts'

// made with @aws-sdk/rds-signer 3, and the credentials of AWS's own examples
const credentials = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  sessionToken: 'to/k+en=',
}
const host = 'shop.cluster-abc.eu-central-1.rds.amazonaws.com'

test.for([
  ['app', 'app', '8bf817efadeeebb0a0ef629e227a4e91491b3ca855a884ec955932f809cdcdbc'],
  ["o'hara user@x", 'o%27hara%20user%40x', '585bd235dbbfa478985c4250f6308b1c7fe9418a0287aecf49021a51c77f3c18'],
])('a token for RDS is the one that the SDK signs: %s', async ([user, written, signature]) => {
  const now = new Date('2026-11-30T18:50:35Z')
  const token = await signRdsToken({ host, port: 5432, user: user!, region: 'eu-central-1' }, { credentials, now })
  const [place, query] = token.split('/?')
  expect(place).toBe(`${host}:5432`)
  expect(query!.split('&').sort()).toEqual([
    'Action=connect',
    `DBUser=${written}`,
    'X-Amz-Algorithm=AWS4-HMAC-SHA256',
    'X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261130%2Feu-central-1%2Frds-db%2Faws4_request',
    'X-Amz-Date=20261130T185035Z',
    'X-Amz-Expires=900',
    'X-Amz-Security-Token=to%2Fk%2Ben%3D',
    `X-Amz-Signature=${signature}`,
    'X-Amz-SignedHeaders=host',
  ])
})
