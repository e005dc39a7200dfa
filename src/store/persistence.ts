// pure

/** Something mounted: where, the type of its file system, and its device. */
type Mount = { folder: string; type: string; device: string }

/** What container engines put a container's own files on. */
const layered = ['overlay', 'fuse.fuse-overlayfs', 'aufs']
const inMemory = ['tmpfs', 'ramfs']

/**
 * Why what is stored there ends with the container: the folder is no mount of its own, or one in memory. Undefined outside of a
 * container, and where nothing is known.
 *
 * @param store `file:///backups`, or another kind of store, which is somewhere else
 * @param mounts the text of `/proc/self/mountinfo`; see proc_pid_mountinfo(5)
 */
export function endsWithContainer(store: string, mounts: string): string | undefined {
  const all = mounts.split('\n').flatMap(parse)
  const root = all.findLast(({ folder }) => folder === '/')
  if (!store.startsWith('file:') || !root || !layered.includes(root.type)) return undefined
  const own = mountOf(folderOf(store), all) ?? root
  if (own.folder === '/') return `${store} is on the container's own file system, and ends with the container`
  return inMemory.includes(own.type) ? `${store} is in memory (${own.type}), and ends with the container` : undefined
}

/**
 * Whether a folder is on another mount than `/`, and not in memory. False where nothing is known of mounts.
 *
 * @param store `file:///backups`
 * @param mounts as for {@link endsWithContainer}
 */
export function isMounted(store: string, mounts: string): boolean {
  const own = mountOf(folderOf(store), mounts.split('\n').flatMap(parse))
  return own !== undefined && own.folder !== '/' && !inMemory.includes(own.type)
}

const folderOf = (store: string) => decodeURIComponent(store.replace('file://', ''))
/** Whether two folders are on one device, as far as the mounts tell. Of a network's file systems nothing is known. */
export function isSameDevice(one: string, other: string, mounts: string): boolean {
  const all = mounts.split('\n').flatMap(parse)
  const [a, b] = [mountOf(one, all), mountOf(other, all)]
  return a !== undefined && b !== undefined && a.device === b.device && !isRemote(a)
}

/** Whether a folder is on another machine, which may never answer. */
export function isElsewhere(folder: string, mounts: string): boolean {
  const mount = mountOf(folder, mounts.split('\n').flatMap(parse))
  return mount !== undefined && isRemote(mount)
}

const isRemote = ({ type }: Mount) => /^(nfs|cifs|smb|9p|ceph|gluster|lustre|afs|virtiofs|fuse)/.test(type)

/** What to do about it. */
export const persistenceHint = 'mount a volume there, or set backup.store to one'

/** What to do where backups lie beside the data. */
export const besideHint =
  'set backup.store to another disk, or to another place such as S3: both are lost with this one'

/** The mount that a folder is on. What was mounted last lies on top. */
function mountOf(folder: string, all: Mount[]): Mount | undefined {
  const above = all.filter((mount) => folder === mount.folder || folder.startsWith(mount.folder.replace(/\/?$/, '/')))
  const longest = Math.max(...above.map((mount) => mount.folder.length))
  return above.findLast((mount) => mount.folder.length === longest)
}

/** `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`; blanks in a name are `\040`. */
function parse(line: string): Mount[] {
  const [before = '', after = ''] = line.split(' - ')
  const [, , device = '', , folder] = before.split(' ')
  const [type = ''] = after.split(' ')
  return folder === undefined ? [] : [{ folder: unescaped(folder), type, device }]
}

const unescaped = (text: string) =>
  text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))
