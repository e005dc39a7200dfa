import { describe, expect, test } from 'vitest'
import { linesOf, type Output } from './output.ts'
import { createStory } from './story.ts'

const changeOf = (object: string) => ({ action: 'create', object, reason: 'is declared' })

/** A story, and the lines that it printed. */
function storyOf(...names: string[]) {
  return storyWith(names)
}

function storyWith(names: string[], options: { planning?: boolean } = {}) {
  const lines: string[] = []
  const out: Output = {
    print: (text) => void lines.push(...linesOf(text)),
    ended: () => {},
    warn: () => {},
    warnings: [],
    terminal: () => undefined,
  }
  return { story: createStory(names, out, options), lines }
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

  test.each([
    ['a plan has all of them', { planning: true }, {}, 30],
    ['when they are applied, the first twenty', {}, {}, 20],
    ['when they are refused, the first three', {}, { refused: true }, 3],
    ['when a plan is refused, the first three', { planning: true }, { refused: true }, 3],
  ])('prints of many changes the first, and keeps all: %s', async (_, options, how, shown) => {
    const { story, lines } = storyWith(['migrate'], options)
    const changes = Array.from({ length: 30 }, (_, i) => changeOf(`migration ${i}`))
    await story.step('migrate', async (show) => show(changes, how))
    expect(lines[0]).toBe('migrate  30 changes')
    expect(lines.filter((line) => line.includes('create migration'))).toHaveLength(shown)
    expect(lines.filter((line) => line === `           and ${30 - shown} more`)).toHaveLength(shown < 30 ? 1 : 0)
    expect(story.changes()).toHaveLength(30)
  })
})
