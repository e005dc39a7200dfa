// pure
/** The characters that JSON is made of, as UTF-16 units. */
export const quote = 34
export const comma = 44
export const colon = 58
export const openBracket = 91
export const backslash = 92
export const closeBracket = 93
export const letterF = 102
export const letterN = 110
export const letterT = 116
export const openBrace = 123
export const closeBrace = 125
