// pure
/** Of `backup.store`. */
export const defaultStore = 'file:///backups'
