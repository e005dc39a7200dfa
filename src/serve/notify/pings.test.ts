import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { configSchema } from '../../config/schema.ts'
import { silentLog } from '../../log.ts'
import { startPings } from './pings.ts'
import { targetsOf } from './targets.ts'

test('a target that gets no ping is known to be dead, until it gets one', async () => {
  let status = 500
  const server = createServer((_, response) => response.writeHead(status).end())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const config = configSchema.parse({ notify: [{ as: 'healthchecks', url }] })
  const [target] = targetsOf({ config, env: {}, baseDir: '/', file: undefined, origins: new Map() })
  const options = { log: silentLog, signal: new AbortController().signal, tries: 1, pauseMs: 1 }
  const job = () => startPings([target!], 'backup', options).end(() => ({ ok: true, text: '' }))
  await job()
  expect(target!.pings.problem).toBe('it answered 500')
  status = 200
  await job()
  expect(target!.pings.problem).toBeUndefined()
  server.closeAllConnections()
  server.close()
})
