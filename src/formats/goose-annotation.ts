// pure
/** All annotations of goose, in lower case. */
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

/** Whether the line is only a comment. */
export const isComment = (line: string) => line.trimStart().startsWith('--')

/** Whether goose treats the line as an annotation: any comment that mentions `+goose` is one. */
export const isAnnotation = (line: string) => isComment(line) && line.includes('+goose')

/**
 * The annotation of a line for which {@link isAnnotation} is true; undefined for one that goose refuses, such as an indented line.
 * It is what remains of the line without every `--` and the first `+goose`, in upper or lower case.
 */
export function annotationOf(line: string): Annotation | undefined {
  if (/^[ \t]/.test(line)) return undefined
  const words = line.replaceAll('--', '').replace('+goose', '').trim().toLowerCase()
  return annotations.find((annotation) => annotation === words)
}
