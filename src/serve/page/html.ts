// pure
import { visible } from '../../text.ts'

/** Text that is HTML already. */
export type Html = { readonly html: string }

type Value = Html | readonly Html[] | string | number | undefined | false

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** Foreign text for an element or a quoted attribute: nothing of it is markup, and nothing of it is invisible. */
export const escaped = (text: string): string => visible(text).replaceAll(/[&<>"']/g, (sign) => entities[sign]!)

const written = (value: Value): string => {
  if (value === undefined || value === false) return ''
  if (typeof value === 'number') return String(value)
  if (typeof value === 'string') return escaped(value)
  if ('html' in value) return value.html
  return value.map(({ html }) => html).join('')
}

/** HTML with values in it, each escaped unless it is HTML itself. Attributes must be in double quotes. */
export function html(strings: TemplateStringsArray, ...values: Value[]): Html {
  let text = strings[0] ?? ''
  for (const [i, value] of values.entries()) text += written(value) + (strings[i + 1] ?? '')
  return { html: text }
}
