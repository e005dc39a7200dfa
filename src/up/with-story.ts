import type { Context } from '../run/context.ts'
import { type Journal, withJournal, withSteps } from '../run/journal.ts'
import { type Run, type RunOptions, withRun } from '../run/run.ts'
import type { Story } from '../run/story.ts'
import { appliedNames } from './applied.ts'

/** {@link withRun} that reports its changes in the story and records them in the journal; a failure carries the steps so far. */
export async function withStory<T>(
  context: Context,
  story: Story,
  options: RunOptions,
  use: (run: Run, journal: Journal) => Promise<T>,
): Promise<T> {
  try {
    return await withRun(context, options, (run) => withJournal(run, story, appliedNames, use))
  } catch (error) {
    throw withSteps(error, story)
  }
}
