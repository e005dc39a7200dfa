/** Whether this process waits for the answer of a name server: libuv asks the system, whose time limits are its own. */
export const isAskingNameServer = (): boolean => process.getActiveResourcesInfo().includes('GetAddrInfoReqWrap')
