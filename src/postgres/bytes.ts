// pure
/**
 * Names whose bytes are not UTF-8: any in a database with the encoding SQL_ASCII, and roles, databases and tablespaces that were named in
 * a database of another encoding. JSON and messages cannot hold them, so each such byte stands for itself as a lone surrogate.
 */

/** A statement after which the server sends names as they are. Without it, it refuses to send what is not UTF-8 in a SQL_ASCII database. */
export const sendAsItIs = `select pg_catalog.set_config('client_encoding', 'SQL_ASCII', false) where pg_catalog.getdatabaseencoding() = 'SQL_ASCII'`

/** The bytes of a JSON expression, for {@link parseBytes}. */
export const bytesOf = (json: string) => `pg_catalog.encode(pg_catalog.textsend((${json})::text), 'hex')`

/** A JSON value from its {@link bytesOf}. */
export const parseBytes = <T>(hex: string): T => JSON.parse(textOf(Buffer.from(hex, 'hex'))) as T

const valid =
  /[^\x80-\xff]+|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}|[\x80-\xff]/g

/** UTF-8, with each byte that is none as a lone surrogate. */
export function textOf(bytes: Buffer): string {
  const text = bytes.toString('utf8')
  if (!text.includes('\ufffd')) return text
  return bytes
    .toString('latin1')
    .replaceAll(valid, (part) =>
      part.length === 1 && part > '\x7f'
        ? String.fromCharCode(0xdc00 + part.charCodeAt(0))
        : Buffer.from(part, 'latin1').toString('utf8'),
    )
}

/** Whether a text has a byte that is not UTF-8. */
export const isBroken = (text: string) => /\p{Cs}/u.test(text)

/** Such a text for a message: `caf\xe9`. */
export const shown = (text: string) =>
  text.replaceAll(/\p{Cs}/gu, (byte) => `\\x${(byte.charCodeAt(0) - 0xdc00).toString(16).padStart(2, '0')}`)
