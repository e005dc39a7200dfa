// pure
const plain = /^([1-5]?\d) (1?\d|2[0-3]) \* \* (\*|[0-7])$/

/** Whether the fields are a time every day or once a week, as in `0 3 * * *`: nothing can be wrong with them. */
export const isPlainCron = (text: string): boolean => plain.test(text)
