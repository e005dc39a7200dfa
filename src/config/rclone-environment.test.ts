import { expect, test } from 'vitest'
import { rcloneEnvironment } from './rclone-environment.ts'

const given = (...names: string[]) =>
  Object.keys(rcloneEnvironment(Object.fromEntries(names.map((name) => [name, 'x'])))).sort()

test('rclone gets what tells how a remote is reached', () => {
  const names = [
    'AWS_PROFILE',
    'HTTPS_PROXY',
    'RCLONE_CONFIG',
    'RCLONE_CONFIG_NAS_PASS',
    'RCLONE_CONTIMEOUT',
    'RCLONE_S3_NO_CHECK_BUCKET',
    'SSL_CERT_FILE',
  ]
  expect(given(...names)).toEqual([...names, 'RCLONE_CRYPT_STRICT_NAMES'].sort())
})

test('and nothing of the database, or that hides objects, only pretends, or talks', () => {
  const names = ['PGPASSWORD', 'DATABASE_URL', 'NODE_OPTIONS', 'RCLONE_MAX_DEPTH', 'RCLONE_MIN_SIZE']
  const more = ['EXCLUDE', 'EXCLUDE_IF_PRESENT', 'FILTER_FROM', 'METADATA_INCLUDE', 'DRY_RUN', 'VERBOSE', 'LOG_LEVEL']
  expect(given(...names, ...more.map((name) => `RCLONE_${name}`))).toEqual(['RCLONE_CRYPT_STRICT_NAMES'])
})

test('that names must be decryptable can be changed', () =>
  expect(rcloneEnvironment({ RCLONE_CRYPT_STRICT_NAMES: 'false' })).toEqual({ RCLONE_CRYPT_STRICT_NAMES: 'false' }))
