import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { checkToken, makeToken, rateLimiter } from '../examples/poker/src/auth.ts'
import {
  apply,
  type Command,
  create,
  decide,
  type Event,
  type Game,
  RuleError,
  replay,
  score,
  view,
} from '../examples/poker/src/game.ts'

describe('poker: the rules', () => {
  test('the better hand has the higher score', () => {
    const bestFirst = [
      'Ts Js Qs Ks As',
      '5h 4h 3h 2h Ah',
      '9s 9h 9d 9c 2s',
      '8s 8h 8d 3c 3s',
      '7s 7h 7d Ac As',
      '2s 4s 6s 8s Ks',
      '2s 4s 6s 8s Qs',
      '9s Th Jd Qc Ks',
      '5s 4h 3d 2c As',
      'Qs Qh Qd 3c 2s',
      'As Ah 2d 2c 3s',
      'Ks Kh Qd Qc As',
      '2s 2h Ad Kc Qs',
      'As Kh Qd Jc 9s',
      '7s 5h 4d 3c 2s',
    ].map((hand) => score(hand.split(' ')))
    const sorted = bestFirst.toSorted((a, b) => {
      const at = a.findIndex((value, n) => value !== b[n])
      return b[at]! - a[at]!
    })
    expect(sorted).toEqual(bestFirst)
    expect(score('As Kh Qd Jc 9s'.split(' '))).toEqual(score('Ah Ks Qc Jd 9h'.split(' ')))
  })

  test('whatever is played, no chip is lost or made, a hand ends, and the events lead to the same game', () => {
    const players = ['ann', 'bob', 'constructor', '__proto__']
    const move = fc.record({
      player: fc.constantFrom(...players),
      type: fc.constantFrom('join', 'deal', 'fold', 'bet', 'bet', 'bet'),
      amount: fc.oneof(fc.constantFrom(0, 10, 50, 100, 990), fc.integer({ min: -5, max: 2000 }), fc.double()),
    })
    fc.assert(
      fc.property(fc.array(move, { minLength: 20, maxLength: 200 }), (moves) => {
        const events: Event[] = [create('g', 'ann')]
        let game = replay(events)
        for (const move of moves) {
          const player = game.turn && move.type !== 'join' ? game.turn : move.player
          try {
            const event = decide(game, { ...move, player } as Command)
            game = apply(game, event)
            events.push(JSON.parse(JSON.stringify(event)))
          } catch (error) {
            if (!(error instanceof RuleError)) throw error
          }
          const chips = game.players.reduce((sum, { chips }) => sum + chips, game.totalPot)
          expect(chips).toBe(1000 * game.players.length)
          expect(game.players.every(({ chips }) => Number.isSafeInteger(chips) && chips >= 0)).toBe(true)
          expect(game.version).toBe(events.length)
          expect(game.status === 'active').toBe(game.turn !== null)
        }
        expect(replay(events)).toEqual(game)
      }),
      { numRuns: 200 },
    )
  })

  test('a player sees no other’s cards while the hand is played', () => {
    const events: Event[] = [create('g', 'ann'), { type: 'joined', player: 'bob' }]
    const before = replay(events)
    const game: Game = apply(before, decide(before, { type: 'deal', player: 'ann' }))
    const cardsOf = (viewer?: string) => view(game, viewer).players.map(({ cards }) => cards)
    const hidden = ['??', '??', '??', '??', '??']
    expect(cardsOf('ann')).toEqual([game.players[0]!.cards, hidden])
    expect(cardsOf()).toEqual([hidden, hidden])
    expect(new Set(game.players.flatMap(({ cards }) => cards)).size).toBe(10)
  })
})

describe('poker: tokens and limits', () => {
  const secret = 'a secret that is long enough for this'
  const exp = Math.floor(Date.now() / 1000) + 60

  test('only what we signed, and has not expired, names a player', () => {
    const token = makeToken({ sub: 'ann', exp }, secret)
    const [head, body, signature] = token.split('.') as [string, string, string]
    const none = Buffer.from('{"alg":"none"}').toString('base64url')
    const other = Buffer.from(JSON.stringify({ sub: 'bob', exp })).toString('base64url')
    expect(checkToken(`Bearer ${token}`, secret)).toEqual({ sub: 'ann', exp })
    for (const wrong of [
      undefined,
      token,
      `Bearer ${makeToken({ sub: 'ann', exp: exp - 120 }, secret)}`,
      `Bearer ${makeToken({ sub: 'ann', exp }, `${secret}!`)}`,
      `Bearer ${head}.${other}.${signature}`,
      `Bearer ${none}.${body}.${signature}`,
      `Bearer ${none}.${body}.`,
      `Bearer ${head}.${body}.${signature.slice(1)}`,
    ])
      expect(checkToken(wrong, secret), wrong).toBeUndefined()
  })

  test('one address has so many requests, whatever others do', () => {
    const allowed = rateLimiter(3)
    for (const address of ['a', 'b']) expect([1, 2, 3].map(() => allowed(address))).toEqual([true, true, true])
    expect(allowed('a')).toBe(false)
  })
})

test('poker: its packages are in the versions that are tested here', () => {
  const read = (...path: string[]) => JSON.parse(readFileSync(join(import.meta.dirname, '..', ...path), 'utf8'))
  expect(read('package.json').devDependencies).toMatchObject(read('examples', 'poker', 'package.json').dependencies)
})
