// pure
import type { Needed } from '../config/needed.ts'
import type { Config } from '../config/schema.ts'

/** Which secrets a command asks for before it starts; what opens a connection asks for passwords itself, later. */
export function neededSecrets(command: string, { migrate, import: imported }: Config): readonly Needed[] {
  if (['healthcheck', 'migrate new'].includes(command) || command.startsWith('config')) return []
  const backsUpFirst = migrate.backupFirst !== 'never' && ['up', 'plan', 'migrate', 'migrate up'].includes(command)
  const reads: readonly Needed[] =
    imported?.backup !== undefined && ['up', 'plan', 'import'].includes(command) ? ['sign', 'identity'] : []
  return ['target', ...new Set([...(backsUpFirst ? withBackups : (besides[command] ?? [])), ...reads])]
}

const withBackups: readonly Needed[] = ['backup', 'sign']

const besides: Record<string, readonly Needed[]> = {
  serve: ['backup', 'test', 'identity', 'sign', 'token'],
  check: withBackups,
  status: ['sign'],
  backup: withBackups,
  'backup run': withBackups,
  'backup list': ['sign'],
  'backup prune': ['sign'],
  'backup pin': ['sign'],
  'backup unpin': ['sign'],
  'backup copy': ['sign'],
  'backup fetch': ['sign', 'identity'],
  'backup keys check': ['sign', 'identity'],
  'backup verify': ['sign', 'identity', 'test'],
  restore: ['backup', 'sign', 'identity'],
  'migrate rehearse': ['sign', 'identity', 'test'],
}
