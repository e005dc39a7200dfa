"""The service starts only on a database that pgbosun calls healthy."""

import json
import subprocess
import sys

CHECK = ('/opt/pgbosun/bin/pgbosun', 'check', '--json')


def refuse_unless_healthy() -> None:
    """Ends the process with pgbosun's exit code if the database is not ready."""
    # its log goes to our stderr; it waits for the server by itself, for up to wait.timeout
    finished = subprocess.run(CHECK, stdout=subprocess.PIPE, text=True)
    try:
        document = json.loads(finished.stdout)
    except ValueError:
        document = {}
    reason = refusal(document)
    if reason is None and finished.returncode == 0:
        print(f'database is healthy, at {document["current_version"]}', file=sys.stderr)
        return
    print(f'not started: {reason or "the check failed"}', file=sys.stderr)
    sys.exit(finished.returncode or 1)


def refusal(document: dict) -> str | None:
    """Why the service must not start; None if it may. A missing field counts as not healthy."""
    pending = document.get('pending_migrations')
    if pending:
        return f'migrations are pending: {", ".join(pending)}'
    if document.get('overall_healthy') is True and pending == []:
        return None
    error = document.get('error') or {}
    return error.get('message') or f'pgbosun check did not say that the database is healthy'
