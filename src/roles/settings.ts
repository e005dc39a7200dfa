// pure
import { isListSetting, splitList } from '../sql/settings.ts'

/** The value of a setting as it is sent to the server: booleans as `on` and `off`, lists as lists. */
export function settingValue(name: string, value: string | number | boolean | string[]): string | string[] {
  if (Array.isArray(value)) return value
  if (typeof value === 'boolean') return value ? 'on' : 'off'
  return isListSetting(name) ? splitList(String(value)) : String(value)
}
