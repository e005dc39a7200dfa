"""POST /play {"telegram_id": 1000000001, "bet": "10.00"} and GET /healthz, on port 8080."""

import asyncio
import json
import re
import signal
import sys
import threading
import traceback
from decimal import Decimal, InvalidOperation
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from os import environ
from pathlib import Path

import asyncpg

from gate import refuse_unless_healthy
from play import CENT, Caller, Rejected, play


def database_url() -> str:
    """SQLAlchemy writes the driver into the scheme, which the driver itself does not understand."""
    text = Path(environ['DATABASE_URL_FILE']).read_text().strip()
    return re.sub(r'^(postgres(?:ql)?)\+\w+:', r'\1:', text)


class Database:
    """An event loop in its own thread, with a connection pool. The threads of the HTTP server hand work to it and wait for the result."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.pool = self.run(self.open())

    async def open(self):
        settings = {'application_name': 'telegram-games'}
        return await asyncpg.create_pool(
            database_url(), min_size=1, max_size=5, timeout=5, command_timeout=10, server_settings=settings
        )

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()


def read_play(text: bytes) -> tuple[int, Decimal]:
    """Whoever sends 0.1 means one tenth, so no number becomes a float."""
    try:
        body = json.loads(text, parse_float=Decimal)
        telegram_id, bet = body['telegram_id'], Decimal(str(body['bet']))
    except (ValueError, TypeError, KeyError, InvalidOperation, RecursionError):
        raise Rejected('send {"telegram_id": NUMBER, "bet": "AMOUNT"}') from None
    if type(telegram_id) is not int or not 0 < telegram_id < 2**63:
        raise Rejected('telegram_id is a positive number of at most 63 bits')
    if not bet.is_finite() or not 0 < bet < 10**18 or bet != bet.quantize(CENT):
        raise Rejected('bet is a positive amount with at most two decimals')
    return telegram_id, bet.quantize(CENT)


def attempt(action) -> tuple[int, dict]:
    try:
        return 200, action()
    except Rejected as rejected:
        return 400, {'error': str(rejected)}
    except (OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError):  # a TimeoutError is an OSError
        traceback.print_exc()
        return 503, {'error': 'the database does not answer'}
    except Exception:
        traceback.print_exc()
        return 500, {'error': 'nothing was written'}


class Handler(BaseHTTPRequestHandler):
    timeout = 10
    database: Database

    def do_GET(self) -> None:
        if self.path != '/healthz':
            return self.answer(404, {'error': 'not found'})
        self.answer(*attempt(self.look))

    def do_POST(self) -> None:
        if self.path != '/play':
            return self.answer(404, {'error': 'not found'})
        self.answer(*attempt(self.play))

    def look(self) -> dict:
        self.database.run(self.database.pool.execute('select'))
        return {'ok': True}

    def play(self) -> dict:
        length = self.headers.get('Content-Length', '')
        if not re.fullmatch(r'\d{1,4}', length):
            raise Rejected('send a body of less than 10000 bytes, with Content-Length')
        telegram_id, bet = read_play(self.rfile.read(int(length)))
        caller = Caller(self.client_address[0], self.headers.get('User-Agent'))
        return self.database.run(play(self.database.pool, telegram_id, bet, caller))

    def answer(self, status: int, body: dict) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_request(self, code='-', size='-') -> None:
        if self.path != '/healthz':
            super().log_request(code, size)


class Server(ThreadingHTTPServer):
    daemon_threads = False  # closing waits for the games that are being written


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # until we serve: process 1 has no default
    refuse_unless_healthy()
    Handler.database = Database()
    server = Server(('', 8080), Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print('listening on port 8080', file=sys.stderr)
    server.serve_forever()
    server.server_close()
    Handler.database.run(Handler.database.pool.close())


main()
