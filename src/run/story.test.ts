import { describe, expect, test } from 'vitest'
import type { Output } from './output.ts'
import { createStory } from './story.ts'

const changeOf = (object: string) => ({ action: 'create', object, reason: 'is declared' })

/** A story, and the lines that it printed. */
function storyOf(...names: string[]) {
  const lines: string[] = []
  const out: Output = {
    print: (text) => void lines.push(...[text].flat()),
    ended: () => {},
    warn: () => {},
    warnings: [],
    terminal: () => undefined,
  }
  return { story: createStory(names, out), lines }
}

describe('a step', () => {
  test('tells and counts what a second attempt plans again only once', async () => {
    const { story, lines } = storyOf('ensure')
    await story.step('ensure', async (show) => {
      show([changeOf('role a'), changeOf('role b')])
      show([changeOf('role b'), changeOf('role c')], { again: true })
      show([changeOf('role c')], { again: true })
    })
    expect(story.changes().map(({ object }) => object)).toEqual(['role a', 'role b', 'role c'])
    expect(lines.filter((line) => line.includes('role b'))).toHaveLength(1)
    expect(lines.filter((line) => line.includes('1 change'))).toHaveLength(1)
  })

  test('counts the same change of two databases twice', async () => {
    const { story } = storyOf('migrate')
    await story.step('migrate', async (show) => {
      show([changeOf('migration 001_a')])
      show([changeOf('migration 001_a')])
    })
    expect(story.changes()).toHaveLength(2)
  })

  test('that failed is the last one that was run', async () => {
    const { story } = storyOf('wait', 'ensure')
    await expect(story.step('wait', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(story.steps.map(({ state }) => state)).toEqual(['failed', 'not-run'])
  })
})
