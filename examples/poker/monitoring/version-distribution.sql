-- How many games had how many moves. If there is only version 1, games are created but moves are not saved.
select width_bucket(version, array[1, 2, 10, 50, 100, 500]) as bucket,
       min(version) as lowest, max(version) as highest, count(*) as games
from games
group by bucket
order by bucket;
