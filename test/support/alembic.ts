import { spawnSync } from 'node:child_process'

/** Alembic's `env.py`, with a driver that waits. */
export const envPy = `
import os
from sqlalchemy import create_engine, pool
from alembic import context

engine = create_engine(os.environ["DATABASE_URL"], poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
`

/** `alembic.ini` of the project in the folder `alembic`. */
export const ini = '[alembic]\nscript_location = alembic\n'

/** A revision file: `after` is what it comes after, in Python. */
export const revision = (id: string, after: string | string[] | null, sql: string) => `
from alembic import op
revision = ${JSON.stringify(id)}
down_revision = ${after === null ? 'None' : Array.isArray(after) ? `(${after.map((one) => JSON.stringify(one)).join(', ')},)` : JSON.stringify(after)}
branch_labels = None
depends_on = None
def upgrade():
    op.execute(${JSON.stringify(sql)})
def downgrade():
    pass
`

/** Whether Debian's Alembic is here, with the drivers that the tests use. */
export const hasAlembic =
  spawnSync('alembic', ['--version']).status === 0 &&
  spawnSync('/usr/bin/python3', ['-c', 'import alembic, psycopg2, asyncpg']).status === 0
if (!hasAlembic) console.warn('NOT RUN: Alembic is not here (apt-get install alembic python3-psycopg2 python3-asyncpg)')
