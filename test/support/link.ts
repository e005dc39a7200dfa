import { execFileSync } from 'node:child_process'

/** A network of its own, with one cable to ours. On it packets can be lost without anybody being told. */
export type Link = {
  /** Starts a command on the other side. */
  through: string[]
  /** Our address, as the other side sees it. */
  ours: string
  /** Its address. */
  theirs: string
  /** From now on every packet is lost, in both directions. */
  cut(): void
  /** Packets arrive again. */
  mend(): void
  remove(): void
}

/** What is for benchmarks, and nowhere routed. */
export const linkRange = '198.18.0.0/15'
const nobody = '02:00:00:00:00:00'
let counter = 0

/** Nothing is asked of the firewall, nor of modules of the kernel: packets go to a hardware address that nobody has. */
export function makeLink(): Link {
  const n = counter++ % 64
  const name = `pgb${process.pid}.${n}`
  const subnet = `198.${18 + ((process.pid >> 8) & 1)}.${process.pid & 255}`
  const [ours, theirs] = [`${subnet}.${n * 4 + 1}`, `${subnet}.${n * 4 + 2}`]
  const here = (command: string) => ip(command)
  const there = (command: string) => ip(`-n ${name} ${command}`)
  here(`netns add ${name}`)
  try {
    here(`link add ${name} type veth peer name eth0 netns ${name}`)
    here(`addr add ${ours}/30 dev ${name}`)
    here(`link set ${name} up`)
    there(`addr add ${theirs}/30 dev eth0`)
    there('link set eth0 up')
  } catch (error) {
    here(`netns del ${name}`)
    throw error
  }
  return {
    through: ['ip', 'netns', 'exec', name],
    ours,
    theirs,
    cut() {
      here(`neigh replace ${theirs} lladdr ${nobody} nud permanent dev ${name}`)
      there(`neigh replace ${ours} lladdr ${nobody} nud permanent dev eth0`)
    },
    mend() {
      here(`neigh del ${theirs} dev ${name}`)
      there(`neigh del ${ours} dev eth0`)
    },
    remove() {
      here(`link del ${name}`)
      here(`netns del ${name}`)
    },
  }
}

const ip = (command: string) => execFileSync('ip', command.split(' '), { stdio: 'pipe', encoding: 'utf8' })

/** Why there can be none here; undefined when there can. */
export function linkMissing(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'it needs Linux and root'
  try {
    makeLink().remove()
    return undefined
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return code === 'ENOENT'
      ? 'there is no `ip` here (apt-get install iproute2)'
      : message.trim().replaceAll('\n', ': ')
  }
}
