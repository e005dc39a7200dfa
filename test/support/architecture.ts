import { dirname, join, normalize } from 'node:path'

/** Source texts by their path in src/: `migrate/plan/plan.ts`. */
export type Sources = ReadonlyMap<string, string>

/** An import of another file of ours, or of a package. `names` of a `import { … }`; `typeOnly`: nothing of it is there at run time. */
type Import = { to: string; own: boolean; typeOnly: boolean; names: string[] }

/**
 * The rooms in order: each imports itself and those before it. Rooms of one line never import each other, and no more do the
 * {@link features}.
 */
export const order = [
  ['errors', 'log', 'plan', 'text', 'units'],
  ['config', 'sql', 'machine'],
  ['postgres', 'programs', 'store'],
  ['state', 'formats', 'lint', 'archive'],
  ['migrate', 'roles', 'seed', 'import', 'backup', 'restore', 'check'],
  ['run'],
  ['up'],
  ['serve'],
  ['cli'],
]

/** `migrate/plan.ts` is in room `migrate`, `plan.ts` is a room of its own. */
export const roomOf = (file: string): string => (file.split('/')[0] ?? '').replace(/\.ts$/, '')

const rank = (file: string) => order.findIndex((rooms) => rooms.includes(roomOf(file)))

/** Without comments. Strings stay: an import is one. */
export const codeOf = (source: string): string => source.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')

/** Everything a file imports: `import … from`, `export … from`, `import()`. */
export function importsOf(file: string, source: string): Import[] {
  const pattern = /^\s*(?:import|export)\b([^'"`;]*?)from\s*'([^']+)'|^import\s*'([^']+)'|\bimport\(\s*'([^']+)'/gm
  return [...codeOf(source).matchAll(pattern)].map(([, clause = '', from, bare, dynamic]) => {
    const path = from ?? bare ?? dynamic ?? ''
    const own = path.startsWith('.')
    const named =
      /\{([^}]*)\}/
        .exec(clause)?.[1]
        ?.split(',')
        .map((name) => name.trim()) ?? []
    const names = named.filter((name) => name !== '')
    const typeOnly = /^\s*type\b/.test(clause) || (names.length > 0 && names.every((name) => name.startsWith('type ')))
    return { to: own ? normalize(join(dirname(file), path)) : path, own, typeOnly, names }
  })
}

/** Lines `file: what` of every file that breaks a rule. */
export const offences = (sources: Sources, rule: (file: string, source: string) => string[]): string[] =>
  [...sources].flatMap(([file, source]) => rule(file, source).map((what) => `${file}: ${what}`))

/** Files in rooms that have no place in {@link order}. */
export const homeless = (sources: Sources): string[] =>
  offences(sources, (file) => (rank(file) < 0 ? [roomOf(file)] : []))

/** Imports against the order. The files of the first line import no other line, but each other. */
export const againstTheOrder = (sources: Sources): string[] =>
  offences(sources, (file, source) =>
    importsOf(file, source)
      .filter(({ to, own }) => own && roomOf(to) !== roomOf(file))
      .filter(({ to }) => rank(to) > rank(file) || (rank(to) === rank(file) && rank(file) > 0))
      .map(({ to }) => to),
  )

/** Commands are told apart by the command line alone: what two of them share lies beside them. */
export const commandsImported = (sources: Sources): string[] =>
  offences(sources, (file, source) =>
    file.startsWith('cli/commands/')
      ? importsOf(file, source)
          .filter(({ to }) => to.startsWith('cli/commands/'))
          .map(({ to }) => to)
      : [],
  )

/** Groups of files that import each other in a circle, types too (Tarjan's strongly connected components). */
export function circles(sources: Sources): string[][] {
  const found: string[][] = []
  const index = new Map<string, number>()
  const low = new Map<string, number>()
  const path: string[] = []
  const visit = (file: string) => {
    index.set(file, index.size)
    low.set(file, index.get(file)!)
    path.push(file)
    for (const { to, own } of importsOf(file, sources.get(file) ?? '')) {
      if (!own || !sources.has(to)) continue
      if (!index.has(to)) visit(to)
      if (path.includes(to)) low.set(file, Math.min(low.get(file)!, low.get(to)!))
    }
    if (low.get(file) !== index.get(file)) return
    const circle = path.splice(path.indexOf(file))
    if (circle.length > 1) found.push(circle.sort())
  }
  for (const file of sources.keys()) if (!index.has(file)) visit(file)
  return found
}

/** The first line of a file that is a function from data to data: see {@link impurities}. */
export const isPure = (source: string): boolean => source.startsWith('// pure\n')

/** Functions of Node that read and write nothing. */
const harmless: Record<string, string[]> = {
  'node:buffer': ['isAscii', 'isUtf8'],
  'node:crypto': ['createHash', 'createHmac', 'hash', 'pbkdf2Sync', 'timingSafeEqual'],
  'node:net': ['isIP', 'isIPv4', 'isIPv6'],
  'node:zlib': ['crc32'],
}

const worldly =
  /\bawait\b|\bDate\.now\b|\bnew Date\(\)|\bperformance\.|\bMath\.random\b|\bset(?:Timeout|Interval|Immediate)\b|\bprocess\b\.|\bfetch\(/g

/**
 * What a pure file has that depends on more than its arguments: I/O, a clock, randomness, the environment; or an import of a file that
 * is not pure. So it holds for everything that it calls. What only types say does not count.
 */
export const impurities = (sources: Sources): string[] =>
  offences(sources, (file, source) => {
    if (!isPure(source)) return []
    const used = importsOf(file, source).filter(({ typeOnly }) => !typeOnly)
    return [
      ...used.filter(({ to, own }) => own && !isPure(sources.get(to) ?? '')).map(({ to }) => `${to} is not pure`),
      ...used
        .filter(({ to, own, names }) => !own && !(names.length > 0 && names.every((name) => isHarmless(to, name))))
        .map(({ to }) => to),
      ...[...codeOf(source).matchAll(worldly)].map(([match]) => match),
    ]
  })

const isHarmless = (from: string, name: string) => name.startsWith('type ') || harmless[from]?.includes(name)

/** Rooms and names of files that decide: each has to say that it is pure. */
const planners = [
  /^(sql|lint\/rules|migrate\/plan)\//,
  /\/(plan|plan-[\w-]+|desired[\w-]*|drift[\w-]*|retention|schedule|preflight|facts|skew|choose|guard|health|conditions)\.ts$/,
  /\/(backup-conditions|changed-files|due|rotation|scram|privileges|validate|presets|lock-keys|lint|render|estimate)\.ts$/,
]

/** They look like a planner by their name, and are what does it. */
const doers = ['cli/commands/plan.ts', 'up/plan.ts', 'up/isolation/choose.ts', 'up/lint.ts', 'postgres/rights.ts']

/** Planners that do not say that they are pure. */
export const undeclared = (sources: Sources): string[] =>
  offences(sources, (file, source) =>
    planners.some((pattern) => pattern.test(file)) && !doers.includes(file) && !isPure(source)
      ? ['is not declared']
      : [],
  )
