// pure
/** A key and what is wrong with it. */
export type Problem = { path: string; message: string }
