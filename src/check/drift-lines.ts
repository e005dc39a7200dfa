// pure
/** A line of a diff: ` ` in both, `-` only in the first text, `+` only in the second, `…` where equal lines are left out. */
export type DiffLine = { sign: ' ' | '-' | '+' | '…'; text: string }

/**
 * The shortest difference between two lists of lines, with some equal lines around each change.
 * With more than about two thousand changed lines on both sides, the whole changed part is shown as replaced.
 */
export function diffLines(before: string[], after: string[], context = 2): DiffLine[] {
  let start = 0
  while (start < before.length && start < after.length && before[start] === after[start]) start++
  let end = 0
  while (end < before.length - start && end < after.length - start && before.at(-1 - end) === after.at(-1 - end)) end++
  const same = (text: string): DiffLine => ({ sign: ' ', text })
  return nearChanges(
    [
      ...before.slice(0, start).map(same),
      ...diffMiddle(before.slice(start, before.length - end), after.slice(start, after.length - end)),
      ...before.slice(before.length - end).map(same),
    ],
    context,
  )
}

/** Follows a longest common subsequence. */
function diffMiddle(before: string[], after: string[]): DiffLine[] {
  const removed = (text: string): DiffLine => ({ sign: '-', text })
  const added = (text: string): DiffLine => ({ sign: '+', text })
  if (before.length * after.length > 4_000_000) return [...before.map(removed), ...after.map(added)]

  const lengths = commonLengths(before, after)
  const lines: DiffLine[] = []
  let [i, j] = [0, 0]
  while (i < before.length && j < after.length) {
    const text = before[i] ?? ''
    if (text === after[j]) {
      lines.push({ sign: ' ', text })
      i++
      j++
    } else if ((lengths[i + 1]?.[j] ?? 0) >= (lengths[i]?.[j + 1] ?? 0)) {
      lines.push(removed(text))
      i++
    } else lines.push(added(after[j++] ?? ''))
  }
  return [...lines, ...before.slice(i).map(removed), ...after.slice(j).map(added)]
}

/** For each pair of positions, the length of a longest common subsequence of the lines that follow. */
function commonLengths(before: string[], after: string[]): Uint16Array[] {
  const lengths = Array.from({ length: before.length + 1 }, () => new Uint16Array(after.length + 1))
  for (let i = before.length - 1; i >= 0; i--) {
    const [row, next] = [lengths[i]!, lengths[i + 1]!]
    for (let j = after.length - 1; j >= 0; j--)
      row[j] = before[i] === after[j] ? next[j + 1]! + 1 : Math.max(next[j]!, row[j + 1]!)
  }
  return lengths
}

/** Leaves out equal lines that are further than `context` from every change. */
function nearChanges(lines: DiffLine[], context: number): DiffLine[] {
  const isNear = lines.map(() => false)
  for (const [at, { sign }] of lines.entries())
    if (sign !== ' ') isNear.fill(true, Math.max(0, at - context), at + context + 1)
  return lines.flatMap((line, at): DiffLine[] => {
    if (isNear[at]) return [line]
    return isNear[at - 1] || at === 0 ? [{ sign: '…', text: '' }] : []
  })
}
