create table games (
  id          uuid        primary key,
  status      text        not null check (status in ('waiting', 'active', 'finished')),
  hand_number integer     not null check (hand_number >= 0),
  total_pot   bigint      not null check (total_pot >= 0),
  version     integer     not null check (version >= 1),
  state       jsonb       not null,
  created_at  timestamptz not null default current_timestamp,
  updated_at  timestamptz not null default current_timestamp
);
comment on table games is 'Games as the server last wrote them.';
comment on column games.version is 'One more with every move: a server writes only over the version it played on.';
comment on column games.state is 'Players, their chips and cards, and whose turn it is.';

create index idx_games_status on games (status);
create index idx_games_updated_at on games (updated_at);

create function set_updated_at() returns trigger
language plpgsql as $$
begin
  new.updated_at := current_timestamp;
  return new;
end
$$;
comment on function set_updated_at() is 'Notes when a row was changed last.';

create trigger games_updated_at before update on games
  for each row execute function set_updated_at();
