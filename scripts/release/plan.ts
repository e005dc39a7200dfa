// pure
/** What a release changes in the repository. */
export type Plan = { files: Record<string, string>; removed: string[]; notes: string }

type Input = {
  /** The text of every file that may name the version or the image, by path. */
  files: Record<string, string>
  /** The texts of changelog/unreleased/, by path. */
  fragments: Record<string, string>
  from: { version: string; image: string }
  to: { version: string; image: string }
  /** `2026-11-30` */
  date: string
}

/** Changes the version and the image's public name where they stand, and makes one page of the fragments. @returns files with their new text */
export function planRelease({ files, fragments, from, to, date }: Input): Plan {
  const changed = Object.entries(files).flatMap(([path, text]) => {
    const now = renamed(path, text, from, to)
    return now === text ? [] : [[path, now] as const]
  })
  const paths = Object.keys(fragments).toSorted()
  const notes = `# ${to.version} (${date})\n\n${paths.map((path) => `- ${fragments[path]!.trim().replaceAll('\n', '\n  ')}\n`).join('')}`
  return { files: { ...Object.fromEntries(changed), [`changelog/${to.version}.md`]: notes }, removed: paths, notes }
}

function renamed(path: string, text: string, from: Input['from'], to: Input['to']): string {
  const old = escaped(from.version)
  const named = text
    .replaceAll(new RegExp(`(?<![\\w./-])${escaped(from.image)}:${old}(?![\\w.-])`, 'g'), `${to.image}:${to.version}`)
    .replaceAll(new RegExp(`(newTag: |\\?ref=v)${old}(?![\\w.-])`, 'g'), `$1${to.version}`)
    .replaceAll(new RegExp(`name: ${escaped(from.image)}, newName`, 'g'), `name: ${to.image}, newName`)
  if (path.endsWith('package.json'))
    return named
      .replace(/^( {2}"version": ")[^"]+/m, `$1${to.version}`)
      .replace(/^( {4}"image": ")[^"]+/m, `$1${to.image}`)
  // the package itself stands twice in the lock file, before every other one
  if (path.endsWith('package-lock.json'))
    return [1, 2].reduce((text) => text.replace(`"version": "${from.version}"`, `"version": "${to.version}"`), named)
  if (path.endsWith('Chart.yaml')) return named.replaceAll(/^((?:appV|v)ersion: ).*$/gm, `$1${to.version}`)
  if (path.endsWith('values.yaml')) return named.replace(/^( {2}repository: ).*$/m, `$1${to.image}`)
  return named
}

const escaped = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')

/** Why this is no next version; undefined when it is one. */
export function wrongVersion(from: string, to: string): string | undefined {
  const numbers = (text: string) => /^(\d+)\.(\d+)\.(\d+)$/.exec(text)?.slice(1).map(Number)
  const [old, now] = [numbers(from), numbers(to)]
  if (!now || !old) return `${to} is no version like 1.2.3`
  const first = now.findIndex((number, place) => number !== old[place])
  return first === -1 || now[first]! < old[first]! ? `${to} does not come after ${from}` : undefined
}
