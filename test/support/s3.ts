import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { CreateBucketCommand, ListBucketsCommand } from '@aws-sdk/client-s3'
import * as aws from '../../src/config/aws.ts'
import type { S3Settings } from '../../src/config/s3-settings.ts'
import { patience } from '../../src/store/s3-requests.ts'
import { moto, seaweed } from './tools/s3.ts'
import { install, reason } from './tools.ts'

/** The keys of the servers. A test of secrets looks for the second. */
export const keys = { accessKeyId: 'AKIAPGBOSUNTEST', secretAccessKey: 'geheim/s3/secret' }

/** A running server of S3 that is not ours. */
export type S3Server = {
  name: string
  port: number
  endpoint: string
  settings: S3Settings
  client: aws.S3Client
  /** Ends it at once, as a power cut would. */
  kill(): Promise<void>
  /** Starts it again, with what it had. */
  start(): Promise<void>
  /** Makes a bucket. @returns its name */
  bucket(): Promise<string>
  end(): Promise<void>
}

/** SeaweedFS, or undefined where it cannot be had: then a line says why. */
export const startSeaweed = () => started(seaweed)
/** The same of moto. */
export const startMoto = () => started(moto)

export const settingsFor = (endpoint: string, change: Partial<S3Settings> = {}): S3Settings => ({
  endpoint,
  region: 'us-east-1',
  pathStyle: true,
  ca: undefined,
  keys: async () => keys,
  shown: () => Object.values(keys),
  proxy: {},
  ...change,
})

async function started(server: typeof seaweed): Promise<S3Server | undefined> {
  try {
    return await run(server)
  } catch (error) {
    process.stderr.write(`NOT RUN: tests with ${server.name}: ${reason(error)}\n`)
    return undefined
  }
}

async function run(server: typeof seaweed): Promise<S3Server> {
  const dir = await install(server)
  const data = mkdtempSync(join(tmpdir(), 'pgbosun-s3-'))
  writeFileSync(join(data, 's3.json'), identities)
  const ports = await freePorts(8)
  const endpoint = `http://127.0.0.1:${ports[0]}`
  const settings = settingsFor(endpoint)
  const client = await aws.makeClient({ ...settings, ...patience })
  const { program, args, env } = server.command(dir, data, ports)
  let child: ChildProcess | undefined
  let buckets = 0

  const start = async () => {
    const launched = spawn(program, args, { cwd: data, env: { ...process.env, ...env }, stdio: 'ignore' })
    child = launched
    await answering(client, launched)
  }
  const kill = async () => {
    const ending = child
    child = undefined
    if (!ending || ending.exitCode !== null || ending.signalCode !== null) return
    ending.kill('SIGKILL')
    await once(ending, 'exit')
  }
  try {
    await start()
  } catch (error) {
    await kill()
    throw error
  }
  return {
    ...{ name: server.name, port: ports[0]!, endpoint, settings, client, kill, start },
    async bucket() {
      const Bucket = `bucket-${++buckets}`
      await client.send(new CreateBucketCommand({ Bucket }))
      return Bucket
    },
    async end() {
      client.destroy()
      await kill()
      rmSync(data, { recursive: true, force: true })
    },
  }
}

const identities = JSON.stringify({
  identities: [
    {
      name: 'test',
      credentials: [{ accessKey: keys.accessKeyId, secretKey: keys.secretAccessKey }],
      actions: ['Admin', 'Read', 'Write', 'List', 'Tagging'],
    },
  ],
})

/** Until it makes buckets and lists them: it listens before it can. */
async function answering(client: aws.S3Client, { exitCode }: ChildProcess): Promise<void> {
  for (let tries = 1; ; tries++)
    try {
      return void (await client.send(new ListBucketsCommand({})))
    } catch (error) {
      if (tries === 100 || exitCode !== null) throw error
      await sleep(200)
    }
}

/** All at once, so that they differ. */
async function freePorts(count: number): Promise<number[]> {
  const servers: Server[] = []
  for (let i = 0; i < count; i++) {
    const listening = createServer().listen(0, '127.0.0.1')
    await once(listening, 'listening')
    servers.push(listening)
  }
  const ports = servers.map((one) => (one.address() as AddressInfo).port)
  for (const one of servers) one.close()
  return ports
}
