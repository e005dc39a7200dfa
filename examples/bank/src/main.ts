import { Bank } from './bank.ts'
import { readTarget } from './config.ts'
import { createApi } from './server.ts'

const bank = new Bank(readTarget(process.env), process.env)
const api = createApi(bank)
const port = Number(process.env.PORT ?? 8000)
api.listen(port, process.env.HOST ?? '127.0.0.1', () => console.log('listening', JSON.stringify(api.address())))

/** Answers what has been asked, then ends. */
async function stop(): Promise<void> {
  await new Promise((resolve) => {
    api.close(resolve)
    api.closeIdleConnections()
  })
  await bank.close()
}
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void stop())
