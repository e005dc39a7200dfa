// pure
/** Whether a name is a pattern: `*` stands for any characters, `?` for one. There is no escape: a pattern also matches itself. */
export const isPattern = (name: string): boolean => /[*?]/.test(name)

/** Whether a pattern matches the whole of a name. Upper and lower case are different. */
export function matches(pattern: string, name: string): boolean {
  const source = pattern.replace(/[^*?]+|\*+|\?/g, (part) =>
    part.startsWith('*') ? '.*' : part === '?' ? '.' : part.replace(/[\\^$.|+()[\]{}]/g, '\\$&'),
  )
  return new RegExp(`^${source}$`, 'su').test(name)
}

/** Whether a list of names and patterns has the name, as itself or by a pattern. */
export const includes = (list: readonly string[], name: string): boolean =>
  list.some((one) => one === name || (isPattern(one) && matches(one, name)))
