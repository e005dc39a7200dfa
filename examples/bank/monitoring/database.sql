-- One row about the database: connections against the limit, size, cache hit ratio, transactions so far (twice, some time apart, gives
-- their rate, and the growth of the size), and rollbacks. For neobank_monitor.
select numbackends as connections,
       pg_catalog.current_setting('max_connections')::int as max_connections,
       pg_catalog.pg_size_pretty(pg_catalog.pg_database_size(datname)) as size,
       pg_catalog.round(100.0 * blks_hit / nullif(blks_hit + blks_read, 0), 1) as cache_hit_percent,
       xact_commit + xact_rollback as transactions,
       xact_rollback as rolled_back,
       deadlocks,
       stats_reset
from pg_catalog.pg_stat_database
where datname = pg_catalog.current_database();
