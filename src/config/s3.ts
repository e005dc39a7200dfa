import * as z from 'zod'
import { noUrl, secret } from './fields.ts'
import { predicates } from './predicates.ts'

/**
 * `file:///folder`, `s3://bucket/prefix` with parts of keys as src/store/keys.ts accepts them, or `rclone://remote/path`: a remote that is
 * described in place, with its password, is none of those.
 */
export const storeUrl =
  /^file:\/\/\/|^rclone:\/\/[A-Za-z0-9_][A-Za-z0-9_.@+-]*(\/[A-Za-z0-9_.%@+ /-]*)?$|^s3:\/\/[A-Za-z0-9][A-Za-z0-9._-]*(\/[A-Za-z0-9_%-][A-Za-z0-9_.%-]*)*\/?$/

/** Whether a text is the URL of a store. */
export const isStoreUrl = (text: string) => storeUrl.test(text)

/** How a store in S3 is reached. */
export const s3Keys = z
  .strictObject({
    endpoint: z
      .string()
      .regex(
        /^https?:\/\/(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?\/?$/,
        'write a scheme and a host, without a path: https://s3.example.org or http://127.0.0.1:9000',
      )
      .optional()
      .meta({
        description:
          'Address of the S3 server, with its scheme: `https://s3.example.org`. Default: that of AWS in the `region`, or `AWS_ENDPOINT_URL_S3`.',
      }),
    region: z
      .string()
      .regex(/^[A-Za-z0-9-]+$/, 'write a name like eu-central-1')
      .optional()
      .meta({
        description:
          'Region of the bucket. Default: `AWS_REGION`, `AWS_DEFAULT_REGION` or the profile, else `us-east-1`.',
      }),
    pathStyle: z.boolean().optional().meta({
      description:
        'Whether the bucket is in the path of the address instead of in its host name. Default: `true` with an endpoint, else `false`.',
    }),
    ca: noUrl('the path of a file').optional().meta({
      description:
        'File with the certificates of the authorities to trust (PEM), or `system` for those that the operating system trusts. Default: the authorities that Node trusts.',
    }),
    accessKeyId: secret.optional().meta({
      description:
        'The access key. Default: what the AWS SDK finds: `AWS_ACCESS_KEY_ID`, web identity, a profile, the container or the machine.',
    }),
    secretAccessKey: secret
      .optional()
      .meta({ description: 'The secret of `accessKeyId`. Both are read again for every request.' }),
  })
  .refine(predicates.hasBothKeys, 'set both `accessKeyId` and `secretAccessKey`, or neither')

/** `backup.s3`, for every store in S3. */
export const s3ForAll = s3Keys.prefault({})
