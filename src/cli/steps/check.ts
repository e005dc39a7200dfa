import type { Run } from '../run.ts'
export async function refuseUnhealthy(_run: Run): Promise<void> {}
