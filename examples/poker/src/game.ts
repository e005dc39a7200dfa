/**
 * Five cards each, one round of bets, the best hand wins. Nobody may bet more than the poorest player in the hand can call, so there
 * are no side pots. `decide` checks a command and returns an event; `apply` turns a game and an event into the next game.
 * Everything random is in the event, so that replaying the events gives the same game.
 */
import { randomInt } from 'node:crypto'

export type Player = { name: string; chips: number; stake: number; cards: string[]; inHand: boolean; acted: boolean }

export type Game = {
  id: string
  status: 'waiting' | 'active' | 'finished'
  handNumber: number
  totalPot: number
  /** The number of the event that led here. */
  version: number
  players: Player[]
  turn: string | null
  lastWinners: string[]
}

export type Command =
  | { type: 'join' | 'deal' | 'fold'; player: string }
  /** The whole amount to put in now: what is missing to call, and more to raise; 0 is a check. */
  | { type: 'bet'; player: string; amount: number }

type Hand = { player: string; cards: string[] }

export type Event =
  | { type: 'created'; id: string; player: string }
  | { type: 'joined' | 'folded'; player: string }
  | { type: 'dealt'; hands: Hand[] }
  | { type: 'bet'; player: string; amount: number }
  /** Replaces all events before it. */
  | { type: 'snapshot'; game: Game }

/** What the rules of the game forbid. */
export class RuleError extends Error {}

const startChips = 1000
const ante = 10
const mostPlayers = 6
const ranks = '23456789TJQKA'

/** Opens a table with its first player. */
export const create = (id: string, player: string): Event => ({ type: 'created', id, player: nameOf(player) })

export function decide(game: Game, command: Command): Event {
  const me = game.players.find(({ name }) => name === command.player)
  if (command.type === 'join') {
    must(!me, 'you are at the table already')
    must(game.status === 'waiting', 'a hand is being played')
    must(game.players.length < mostPlayers, 'the table is full')
    return { type: 'joined', player: nameOf(command.player) }
  }
  must(me, 'you are not at this table')
  if (command.type === 'deal') {
    must(game.status === 'waiting', 'a hand is being played, or the game is over')
    const dealtIn = game.players.filter(({ chips }) => chips >= ante)
    must(dealtIn.length >= 2, 'it takes two players')
    const deck = shuffled()
    return { type: 'dealt', hands: dealtIn.map(({ name }) => ({ player: name, cards: deck.splice(0, 5) })) }
  }
  must(game.status === 'active' && game.turn === me.name, 'it is not your turn')
  if (command.type !== 'bet') return { type: 'folded', player: me.name }
  const { amount } = command
  must(Number.isSafeInteger(amount) && amount >= 0, 'an amount is a whole number of chips')
  const stakes = game.players.filter(({ inHand }) => inHand)
  const toCall = Math.max(...stakes.map(({ stake }) => stake)) - me.stake
  const most = Math.min(...stakes.map(({ stake, chips }) => stake + chips)) - me.stake
  must(amount >= toCall, `it takes ${toCall} to stay in`)
  must(amount <= most, `not everybody can call more than ${most}`)
  return { type: 'bet', player: me.name, amount }
}

export function apply(before: Game | undefined, event: Event): Game {
  if (event.type === 'snapshot') return structuredClone(event.game)
  if (event.type === 'created')
    return {
      id: event.id,
      status: 'waiting',
      handNumber: 0,
      totalPot: 0,
      version: 1,
      players: [newPlayer(event.player)],
      turn: null,
      lastWinners: [],
    }
  if (!before) throw new Error(`${event.type} comes before the game`)
  const game = structuredClone(before)
  game.version++
  switch (event.type) {
    case 'joined':
      game.players.push(newPlayer(event.player))
      break
    case 'dealt':
      deal(game, event.hands)
      break
    case 'bet':
      bet(game, event.player, event.amount)
      break
    case 'folded':
      playerOf(game, event.player).inHand = false
      goOn(game)
  }
  return game
}

/** The game that events, in their order, lead to. */
export function replay(events: Event[]): Game {
  let game: Game | undefined
  for (const event of events) game = apply(game, event)
  if (!game) throw new Error('there are no events')
  return game
}

/** The game as one player may see it: without the cards of the others while the hand is played. */
export const view = (game: Game, viewer: string | undefined): Game => ({
  ...game,
  players: game.players.map((player) =>
    game.status === 'active' && player.name !== viewer ? { ...player, cards: player.cards.map(() => '??') } : player,
  ),
})

/** Compared as an array of numbers: the kind of the hand, then its ranks, the most frequent first. */
export function score(hand: string[]): number[] {
  const values = hand.map((card) => ranks.indexOf(card.charAt(0)))
  const count = (value: number) => values.filter((other) => other === value).length
  const sorted = values.toSorted((a, b) => count(b) - count(a) || b - a)
  const shape = [...new Set(sorted)].map(count).join('')
  const wheel = sorted.join() === '12,3,2,1,0' // the ace counts as one
  const straight = shape === '11111' && (wheel || sorted[0]! - sorted[4]! === 4)
  const flush = new Set(hand.map((card) => card.charAt(1))).size === 1
  const kinds = ['11111', '2111', '221', '311', 'straight', 'flush', '32', '41']
  const kind = straight && flush ? 8 : kinds.indexOf(flush ? 'flush' : straight ? 'straight' : shape)
  return [kind, ...(wheel ? [3, 2, 1, 0, -1] : sorted)]
}

const newPlayer = (name: string): Player => ({
  name,
  chips: startChips,
  stake: 0,
  cards: [],
  inHand: false,
  acted: false,
})

function deal(game: Game, hands: Hand[]): void {
  game.status = 'active'
  game.handNumber++
  game.lastWinners = []
  for (const player of game.players) {
    const dealt = hands.find((hand) => hand.player === player.name)?.cards
    const paid = dealt ? ante : 0
    Object.assign(player, { cards: dealt ?? [], inHand: dealt !== undefined, acted: false, stake: paid })
    player.chips -= paid
    game.totalPot += paid
  }
  game.turn = game.players.find(({ inHand }) => inHand)!.name
}

function bet(game: Game, name: string, amount: number): void {
  const player = playerOf(game, name)
  const highest = Math.max(...game.players.map(({ stake }) => stake))
  player.chips -= amount
  player.stake += amount
  game.totalPot += amount
  if (player.stake > highest) for (const other of game.players) other.acted = false
  player.acted = true
  goOn(game)
}

/** The next player who has to act, or the end of the hand. */
function goOn(game: Game): void {
  const left = game.players.filter(({ inHand }) => inHand)
  if (left.length === 1 || left.every(({ acted }) => acted)) {
    settle(game, left)
    return
  }
  const at = game.players.findIndex(({ name }) => name === game.turn)
  const following = [...game.players.slice(at + 1), ...game.players.slice(0, at)]
  game.turn = following.find(({ inHand }) => inHand)!.name
}

function settle(game: Game, left: Player[]): void {
  const scores = left.map(({ cards }) => (left.length > 1 ? score(cards) : []))
  const best = scores.reduce((a, b) => (compare(a, b) < 0 ? b : a))
  const winners = left.filter((_, n) => compare(scores[n]!, best) === 0)
  const share = Math.floor(game.totalPot / winners.length)
  for (const winner of winners) winner.chips += share
  winners[0]!.chips += game.totalPot - share * winners.length
  for (const player of game.players) {
    if (!player.inHand || left.length === 1) player.cards = [] // only who is called shows cards
    Object.assign(player, { inHand: false, acted: false, stake: 0 })
  }
  game.totalPot = 0
  game.turn = null
  game.lastWinners = winners.map(({ name }) => name)
  game.status = game.players.filter(({ chips }) => chips >= ante).length >= 2 ? 'waiting' : 'finished'
}

function compare(a: number[], b: number[]): number {
  const at = a.findIndex((value, n) => value !== b[n])
  return at < 0 ? 0 : a[at]! - b[at]!
}

function playerOf(game: Game, name: string): Player {
  const player = game.players.find((one) => one.name === name)
  if (!player) throw new Error(`${name} is not in game ${game.id}`)
  return player
}

function shuffled(): string[] {
  const deck = [...ranks].flatMap((rank) => [...'shdc'].map((suit) => rank + suit))
  for (let left = deck.length - 1; left > 0; left--) {
    const other = randomInt(left + 1)
    ;[deck[left], deck[other]] = [deck[other]!, deck[left]!]
  }
  return deck
}

function nameOf(player: unknown): string {
  must(typeof player === 'string' && /^[\p{L}\p{N}_.-]{1,32}$/u.test(player), 'a name has 1 to 32 letters or digits')
  return player
}

function must(condition: unknown, otherwise: string): asserts condition {
  if (!condition) throw new RuleError(otherwise)
}
