import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { feedTool } from './child.ts'

const signal = new AbortController().signal
describe('what a program is fed', () => {
  test('arrives byte for byte, although it reads late and the chunks are overwritten one after the other', async () => {
    const sent = createHash('sha256')
    const chunks = async function* () {
      const chunk = Buffer.allocUnsafe(10_000)
      for (let i = 0; i < 200; i++) {
        chunk.fill(i)
        sent.update(chunk)
        yield chunk
      }
    }
    const child = spawn('sh', ['-c', 'sleep 0.2; sha256sum'], { stdio: ['pipe', 'pipe', 'inherit'] })
    let received = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      received += text
    })
    await Promise.all([feedTool(child, chunks(), { signal }), once(child, 'close')])
    expect(received).toBe(`${sent.digest('hex')}  -\n`)
  })

  test('is read to its end when the program does not want it', async () => {
    let bytes = 0
    const chunks = async function* () {
      for (let i = 0; i < 20; i++) yield Buffer.alloc(100_000)
    }
    const child = spawn('true', { stdio: ['pipe', 'ignore', 'inherit'] })
    child.stdin.on('error', () => {})
    await feedTool(child, chunks(), { signal, onBytes: (count) => (bytes = count) })
    expect(bytes).toBe(2_000_000)
  })
})
