// pure
/** The steps of `up`, in order. */
export const stepNames = ['wait', 'ensure', 'migrate', 'grant', 'seed', 'check']
