import * as z from 'zod'
import { noUrl, secret } from './fields.ts'
import { predicates } from './predicates.ts'

const plainUrl = z.string().refine(predicates.isPlainHttpUrl, {
  abort: true,
  error: 'write { env: NAME } or { file: PATH }, which hold the URL',
})

const headerValue = z.union([z.string(), ...secret.options])

/** How a message is sent, and to what. */
export const notifyKinds = ['healthchecks', 'slack', 'telegram', 'ntfy', 'json'] as const
export type NotifyKind = (typeof notifyKinds)[number]

/** Work that has a start and an end. */
export const notifyJobs = ['up', 'backup', 'restore-test'] as const
export type NotifyJob = (typeof notifyJobs)[number]

/** What can be said of a condition. */
export const notifyEvents = ['opened', 'reminder', 'resolved'] as const
export type NotifyEvent = (typeof notifyEvents)[number]

const target = z
  .strictObject({
    as: z.enum(notifyKinds).meta({
      description:
        '`healthchecks`: pings at the start, the success and the failure of a job (healthchecks.io and what speaks its protocol). `slack`: Slack, and what speaks its format: Mattermost, and Discord with `/slack` at the end of the URL. `telegram`: `https://api.telegram.org/bot<token>/sendMessage?chat_id=<id>`. `ntfy`: a topic. `json`: a JSON document by POST.',
    }),
    url: z.union([plainUrl, ...secret.options]).meta({
      description:
        'Where to send. A URL is a secret for most services, so it comes from a variable or a file; as text only without user, password and query.',
    }),
    name: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$/, 'use up to 40 letters, digits, `_`, `.` and `-`')
      .optional()
      .meta({
        description:
          'Name of the target, for messages and for what is noted of it in the store. Default: kind and place.',
      }),
    for: z.array(z.enum(notifyJobs)).min(1).optional().meta({
      description: 'Only `healthchecks`: the jobs that are told. Default: `[backup]`.',
    }),
    on: z.array(z.enum(notifyEvents)).min(1).optional().meta({
      description:
        'All but `healthchecks`: what is told of a condition. `reminder`: every 24 h while it is open. Default: all three.',
    }),
    headers: z
      .record(z.string().regex(/^[A-Za-z0-9-]+$/, 'this is no name of a header'), headerValue)
      .optional()
      .meta({ description: 'Headers to send; their values may be secrets.' }),
    sign: secret.optional().meta({
      description: 'Only `json`: secret of the HMAC-SHA256 in the header `Pgbosun-Signature`.',
    }),
    details: z.boolean().prefault(false).meta({
      description:
        'Also send what may hold data: DETAIL of the server, and the statement that failed, of an `up` or `backup run` on its own.',
    }),
    oneShot: z.boolean().optional().meta({
      description:
        'All but `healthchecks`: also tell the failure of an `up` or `backup run` on its own, such as a Job or a CronJob; of one kind once an hour, where the store can note it. Default: only `json`.',
    }),
    ca: noUrl('the path of a file').min(1).optional().meta({
      description: 'File with the authorities to trust, in PEM. Default: those that Node trusts.',
    }),
  })
  .refine(predicates.tellsConditions, {
    path: ['on'],
    error: 'healthchecks is told of jobs, not of conditions: use `for`',
  })
  .refine(predicates.tellsJobs, { path: ['for'], error: 'only healthchecks is told of jobs: use `on`' })
  .refine(predicates.tellsOnce, { path: ['oneShot'], error: 'healthchecks is told of each run anyway' })
  .refine(predicates.signsJson, { path: ['sign'], error: 'only `json` is signed' })

/** The key `notify`. */
export const notifySchema = z
  .array(target)
  .prefault([])
  .meta({ description: 'Who is told when something is wrong, and when it is over.' })

export type NotifyConfig = z.output<typeof target>
