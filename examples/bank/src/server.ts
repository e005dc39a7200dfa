import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type Bank, Refused, type Transfer, Unavailable } from './bank.ts'
import { Meter } from './meter.ts'

type Answer = { status: number; body: unknown }

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const money = /^(0|[1-9]\d{0,11})(\.\d{1,2})?$/

export function createApi(bank: Bank): Server {
  const meter = new Meter()
  return createServer(async (request, response) => {
    const startedAt = performance.now()
    const path = new URL(request.url ?? '/', 'http://bank').pathname
    if (path === '/metrics')
      return void response.setHeader('content-type', 'text/plain; version=0.0.4').end(meter.text())
    const { status, body } = await answer(bank, request, path).catch(failed)
    send(response, status, body)
    meter.count(path, status, performance.now() - startedAt)
  })
}

async function answer(bank: Bank, request: IncomingMessage, path: string): Promise<Answer> {
  const [, first, second] = path.split('/')
  const route = `${request.method} ${second === undefined ? path : `/${first}/NAME`}`
  if (route === 'GET /livez') return { status: 200, body: { status: 'ok' } } // knows only this process
  if (route === 'GET /health') return bank.health().then(() => ({ status: 200, body: { status: 'ok' } }))
  if (route === 'GET /accounts/NAME') return { status: 200, body: await bank.account(second!) }
  if (route === 'PUT /accounts/NAME') return { status: 200, body: await bank.open(second!) }
  if (route === 'POST /transfers') {
    const outcome = await bank.transfer(readTransfer(await readJson(request)))
    return { status: outcome.status === 'done' ? 201 : 200, body: outcome }
  }
  throw new Refused(404, `there is no ${request.method} ${path}`)
}

function readTransfer(body: unknown): Transfer {
  const { request, from, to, amount } = Object(body) as Record<string, unknown>
  if (typeof request !== 'string' || !uuid.test(request)) throw new Refused(400, 'request has to be a UUID')
  if (typeof from !== 'string' || typeof to !== 'string' || from === to)
    throw new Refused(400, 'from and to have to be two accounts')
  if (typeof amount !== 'string' || !money.test(amount) || Number(amount) === 0)
    throw new Refused(400, 'amount has to be a text like "12.34"')
  return { request, from, to, amount }
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk
    if (text.length > 10_000) throw new Refused(413, 'the body is too long')
  }
  try {
    return JSON.parse(text)
  } catch {
    throw new Refused(400, 'the body is no JSON')
  }
}

function failed(error: unknown): Answer {
  if (error instanceof Refused) return { status: error.status, body: { error: error.message } }
  console.error(error instanceof Unavailable ? `unavailable: ${error.message}` : error)
  const status = error instanceof Unavailable ? 503 : 500
  return { status, body: { error: status === 503 ? 'try again with the same request' : 'failed' } }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  response.end(`${JSON.stringify(body)}\n`)
}
