create table game_events (
  game_id    uuid        not null references games (id) on delete cascade,
  sequence   integer     not null check (sequence >= 1),
  type       text        not null,
  data       jsonb       not null,
  created_at timestamptz not null default current_timestamp,
  primary key (game_id, sequence)
);
comment on table game_events is 'What happened in each game, in order: replayed from the last snapshot, it gives the game.';
comment on column game_events.sequence is 'The version of the game that this event led to.';

create index idx_game_events_created_at on game_events (created_at);
