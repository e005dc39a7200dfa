create table trades (
  id uuid primary key default uuid_generate_v4(),
  player_id uuid not null references players on delete cascade,
  port_id uuid not null references ports,
  commodity_id uuid not null references commodities,
  direction trade_direction not null,
  quantity integer not null check (quantity > 0),
  total numeric(16,2) not null,
  created_at timestamptz not null default now()
);

create table contracts (
  id uuid primary key default uuid_generate_v4(),
  player_id uuid references players on delete set null,
  port_id uuid not null references ports,
  reward numeric(12,2) not null,
  due_at timestamptz not null,
  created_at timestamptz not null default now()
);

create table missions (
  id uuid primary key default uuid_generate_v4(),
  title text not null,
  reward numeric(12,2) not null,
  sector_id uuid references sectors on delete set null,
  created_at timestamptz not null default now()
);

create table player_missions (
  id uuid primary key default uuid_generate_v4(),
  player_id uuid not null references players on delete cascade,
  mission_id uuid not null references missions on delete cascade,
  state mission_state not null default 'offered',
  created_at timestamptz not null default now(),
  unique (player_id, mission_id)
);

create table combats (
  id uuid primary key default uuid_generate_v4(),
  attacker_id uuid references players on delete set null,
  defender_id uuid references players on delete set null,
  sector_id uuid not null references sectors,
  outcome combat_outcome not null,
  created_at timestamptz not null default now()
);

create table combat_rounds (
  id uuid primary key default uuid_generate_v4(),
  combat_id uuid not null references combats on delete cascade,
  number smallint not null,
  damage integer not null,
  created_at timestamptz not null default now(),
  unique (combat_id, number)
);

create table bounties (
  id uuid primary key default uuid_generate_v4(),
  target_id uuid not null references players on delete cascade,
  placed_by_id uuid references players on delete set null,
  amount numeric(12,2) not null,
  created_at timestamptz not null default now()
);

create table messages (
  id uuid primary key default uuid_generate_v4(),
  sender_id uuid references players on delete set null,
  recipient_id uuid references players on delete set null,
  kind message_kind not null default 'private',
  body text not null,
  reply_to_id uuid references messages on delete set null,
  created_at timestamptz not null default now()
);

create table achievements (
  id uuid primary key default uuid_generate_v4(),
  name text not null unique,
  points integer not null,
  created_at timestamptz not null default now()
);

create table player_achievements (
  id uuid primary key default uuid_generate_v4(),
  player_id uuid not null references players on delete cascade,
  achievement_id uuid not null references achievements on delete cascade,
  created_at timestamptz not null default now(),
  unique (player_id, achievement_id)
);

create table events (
  id uuid primary key default uuid_generate_v4(),
  name text not null,
  starts_at timestamptz not null,
  ends_at timestamptz not null,
  created_at timestamptz not null default now(),
  check (ends_at > starts_at)
);

create table event_participants (
  id uuid primary key default uuid_generate_v4(),
  event_id uuid not null references events on delete cascade,
  player_id uuid not null references players on delete cascade,
  score integer not null default 0,
  created_at timestamptz not null default now(),
  unique (event_id, player_id)
);

create table leaderboards (
  id uuid primary key default uuid_generate_v4(),
  event_id uuid references events on delete set null,
  name text not null,
  computed_at timestamptz not null default now(),
  created_at timestamptz not null default now()
);

create table leaderboard_entries (
  id uuid primary key default uuid_generate_v4(),
  leaderboard_id uuid not null references leaderboards on delete cascade,
  player_id uuid not null references players on delete cascade,
  place integer not null,
  created_at timestamptz not null default now(),
  unique (leaderboard_id, place)
);

create table bank_accounts (
  id uuid primary key default uuid_generate_v4(),
  player_id uuid not null references players on delete cascade,
  balance numeric(16,2) not null default 0,
  created_at timestamptz not null default now()
);

create index trades_player_id on trades (player_id);
create index trades_port_id on trades (port_id);
create index trades_commodity_id on trades (commodity_id);
create index contracts_player_id on contracts (player_id);
create index contracts_port_id on contracts (port_id);
create index missions_sector_id on missions (sector_id);
create index player_missions_mission_id on player_missions (mission_id);
create index combats_attacker_id on combats (attacker_id);
create index combats_defender_id on combats (defender_id);
create index combats_sector_id on combats (sector_id);
create index bounties_target_id on bounties (target_id);
create index bounties_placed_by_id on bounties (placed_by_id);
create index messages_sender_id on messages (sender_id);
create index messages_recipient_id on messages (recipient_id);
create index messages_reply_to_id on messages (reply_to_id);
create index player_achievements_achievement_id on player_achievements (achievement_id);
create index event_participants_player_id on event_participants (player_id);
create index leaderboards_event_id on leaderboards (event_id);
create index leaderboard_entries_player_id on leaderboard_entries (player_id);
create index bank_accounts_player_id on bank_accounts (player_id);
