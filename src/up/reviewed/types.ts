import type { Show } from '../../run/story.ts'
import type { ReviewedPlan } from './document.ts'

/** A plan that was reviewed, and how `up` was told to use it. */
export type Review = { file: string; plan: ReviewedPlan; maxAgeMs: number }

/** Lets through only what was reviewed: it wraps `show` of a step, which is called before anything is applied. */
export type Gate = (step: string, show: Show) => Show

/** Without a reviewed plan, everything goes. */
export const openGate: Gate = (_, show) => show
