// pure
/** What goose knows, in lower case. */
const annotations = [
  'up',
  'down',
  'statementbegin',
  'statementend',
  'no transaction',
  'envsub on',
  'envsub off',
] as const

/** An annotation of goose, in lower case. */
export type Annotation = (typeof annotations)[number]

/** Whether the line holds a comment and nothing else. */
export const isComment = (line: string) => line.trimStart().startsWith('--')

/** Whether goose takes the line for an annotation: prose that mentions `+goose` is one too. */
export const isAnnotation = (line: string) => isComment(line) && line.includes('+goose')

/**
 * The annotation of a line for which {@link isAnnotation} is true; undefined for one that goose refuses.
 * It is what is left without any `--` and the first `+goose`, in any case; the line is not indented.
 */
export function annotationOf(line: string): Annotation | undefined {
  if (/^[ \t]/.test(line)) return undefined
  const words = line.replaceAll('--', '').replace('+goose', '').trim().toLowerCase()
  return annotations.find((annotation) => annotation === words)
}
