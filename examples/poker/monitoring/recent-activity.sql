-- Games created and moved in each of the last ten minutes. If this is empty while people play, nothing reaches the database.
select date_trunc('minute', updated_at) as minute,
       count(*) as games, count(*) filter (where version = 1) as only_created, max(version) as highest_version
from games
where updated_at > current_timestamp - interval '10 minutes'
group by minute
order by minute desc;
