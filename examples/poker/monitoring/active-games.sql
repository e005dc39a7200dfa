-- Games that are being played, those without a move for the longest time first.
select id, hand_number, total_pot, version, age(current_timestamp, updated_at) as untouched_for
from games
where status = 'active'
order by updated_at;
