import { setFlagsFromString } from 'node:v8'

/**
 * To be called before streaming a database through the process. Buffers make V8 collect its small heap again and again;
 * in one go that costs a fifth less processor time for the whole backup than in many small steps.
 */
export const tuneForStreams = (): void => setFlagsFromString('--no-incremental-marking')
