"""The one user action: a coin is tossed for a bet, and everything that follows is written in one transaction."""

import json
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from hashlib import sha256
from secrets import token_hex

CENT = Decimal('0.01')
WELCOME_BONUS = Decimal('100.00')


class Rejected(Exception):
    """The player asked for something that the rules do not allow."""


@dataclass(frozen=True)
class Toss:
    outcome: str
    multiplier: Decimal
    payout: Decimal


@dataclass(frozen=True)
class Caller:
    """Who is named in the audit log."""

    ip_address: str
    user_agent: str | None


def toss(seed: str, bet: Decimal, house_edge: Decimal) -> Toss:
    """The seed alone decides, so that everybody can check it. A fair coin pays double; the house keeps its edge of that."""
    if sha256(seed.encode()).digest()[-1] % 2 == 1:
        return Toss('lost', Decimal(0), Decimal('0.00'))
    multiplier = (2 * (1 - house_edge)).quantize(Decimal('0.0001'), ROUND_HALF_UP)
    return Toss('won', multiplier, (bet * multiplier).quantize(CENT, ROUND_HALF_UP))


async def play(pool, telegram_id: int, bet: Decimal, caller: Caller) -> dict:
    """Five rows or none: game, transaction, outbox, notification, audit log.

    A player's first game also writes the player and the welcome bonus, in the same transaction.
    """
    async with pool.acquire() as db, db.transaction():
        settings = await read_settings(db)
        limits = settings['bet_limits']
        if not limits['min'] <= bet <= limits['max']:
            raise Rejected(f'a bet is between {limits["min"]} and {limits["max"]}')
        user_id = await lock_player(db, telegram_id)
        before = await read_balance(db, user_id)
        if before is None:
            before = await write_bonus(db, user_id)
        if bet > before:
            raise Rejected(f'the balance of {before} is less than the bet of {bet}')

        seed = token_hex(16)
        result = toss(seed, bet, settings['house_edge'])
        after = before - bet + result.payout
        game_id = await write_game(db, user_id, bet, result, settings['house_edge'], seed)
        await write_transaction(db, user_id, game_id, before, after)
        message = f'You {result.outcome}. Your balance is {after}.'
        await write_outbox(db, user_id, telegram_id, message)
        await write_notification(db, user_id, game_id, result, message)
        await write_audit_log(db, user_id, game_id, before, after, caller)
    return {
        'game_id': game_id,
        'outcome': result.outcome,
        'bet': str(bet),
        'payout': str(result.payout),
        'balance': str(after),
        'seed': seed,
    }


async def read_settings(db) -> dict:
    rows = await db.fetch("select setting_key, setting_value from settings where setting_key in ('bet_limits', 'house_edge')")
    return {row['setting_key']: json.loads(row['setting_value'], parse_int=Decimal, parse_float=Decimal) for row in rows}


async def lock_player(db, telegram_id: int) -> int:
    """Creates the player if there is none. The row stays locked, so a player's games come one after the other."""
    return await db.fetchval(
        """insert into users (telegram_id) values ($1)
           on conflict (telegram_id) do update set telegram_id = excluded.telegram_id
           returning id""",
        telegram_id,
    )


async def read_balance(db, user_id: int) -> Decimal | None:
    return await db.fetchval('select balance_after from transactions where user_id = $1 order by id desc limit 1', user_id)


async def write_bonus(db, user_id: int) -> Decimal:
    await db.execute(
        """insert into transactions (user_id, transaction_type, amount, balance_before, balance_after)
           values ($1, 'bonus', $2, 0, $2)""",
        user_id,
        WELCOME_BONUS,
    )
    return WELCOME_BONUS


async def write_game(db, user_id: int, bet: Decimal, result: Toss, house_edge: Decimal, seed: str) -> int:
    return await db.fetchval(
        """insert into games (user_id, algorithm_type, bet_amount, outcome, multiplier, payout_amount, house_edge, seed)
           values ($1, 'coin', $2, $3, $4, $5, $6, $7)
           returning id""",
        user_id,
        bet,
        result.outcome,
        result.multiplier,
        result.payout,
        house_edge,
        seed,
    )


async def write_transaction(db, user_id: int, game_id: int, before: Decimal, after: Decimal) -> None:
    await db.execute(
        """insert into transactions (user_id, transaction_type, amount, balance_before, balance_after, reference_id)
           values ($1, $2, $3, $4, $5, $6)""",
        user_id,
        'win' if after > before else 'loss',
        after - before,
        before,
        after,
        f'game:{game_id}',
    )


async def write_outbox(db, user_id: int, telegram_id: int, message: str) -> None:
    await db.execute(
        "insert into outbox (user_id, outbox_type, payload) values ($1, 'telegram_message', $2)",
        user_id,
        json.dumps({'chat_id': telegram_id, 'text': message}),
    )


async def write_notification(db, user_id: int, game_id: int, result: Toss, message: str) -> None:
    await db.execute(
        """insert into notifications (user_id, notification_type, title, message, metadata)
           values ($1, $2, $3, $4, jsonb_build_object('game_id', $5::bigint))""",
        user_id,
        'win' if result.outcome == 'won' else 'loss',
        'Heads or tails',
        message,
        game_id,
    )


async def write_audit_log(db, user_id: int, game_id: int, before: Decimal, after: Decimal, caller: Caller) -> None:
    await db.execute(
        """insert into audit_logs (user_id, action, entity_type, entity_id, before_state, after_state, ip_address, user_agent)
           values ($1, 'play', 'game', $2, $3, $4, $5, $6)""",
        user_id,
        str(game_id),
        json.dumps({'balance': str(before)}),
        json.dumps({'balance': str(after)}),
        caller.ip_address,
        caller.user_agent,
    )
