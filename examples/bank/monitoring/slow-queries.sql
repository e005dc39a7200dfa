-- The ten statements that took the most time in all, since pg_stat_statements was reset. For neobank_monitor.
select calls, pg_catalog.round(mean_exec_time::numeric, 2) as mean_ms, pg_catalog.round(max_exec_time::numeric, 2) as max_ms,
       pg_catalog.round(total_exec_time::numeric / 1000, 1) as total_s, pg_catalog.left(query, 80) as query
from public.pg_stat_statements
where dbid = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database())
order by total_exec_time desc
limit 10;
