create table teams (
  id uuid primary key default uuid_generate_v4(),
  name text not null unique,
  motto text,
  created_at timestamptz not null default now()
);

create table players (
  id uuid primary key default uuid_generate_v4(),
  user_id uuid not null references users on delete cascade,
  nickname text not null unique,
  credits numeric(16,2) not null default 10000 check (credits >= 0),
  turns integer not null default 1000,
  sector_id uuid references sectors on delete set null,
  team_id uuid references teams on delete set null,
  created_at timestamptz not null default now()
);

create table ship_types (
  id uuid primary key default uuid_generate_v4(),
  class ship_class not null unique,
  price numeric(12,2) not null,
  holds integer not null,
  speed real not null,
  created_at timestamptz not null default now()
);

create table ships (
  id uuid primary key default uuid_generate_v4(),
  owner_id uuid not null references players on delete cascade,
  type_id uuid not null references ship_types,
  name text not null,
  sector_id uuid references sectors on delete set null,
  hull integer not null default 100,
  created_at timestamptz not null default now()
);

create table ship_upgrades (
  id uuid primary key default uuid_generate_v4(),
  ship_id uuid not null references ships on delete cascade,
  name text not null,
  level smallint not null default 1,
  created_at timestamptz not null default now()
);

create table ship_cargo (
  id uuid primary key default uuid_generate_v4(),
  ship_id uuid not null references ships on delete cascade,
  commodity_id uuid not null references commodities,
  quantity integer not null check (quantity > 0),
  created_at timestamptz not null default now(),
  unique (ship_id, commodity_id)
);

create table ship_insurances (
  id uuid primary key default uuid_generate_v4(),
  ship_id uuid not null references ships on delete cascade,
  premium numeric(12,2) not null,
  valid_until timestamptz not null,
  created_at timestamptz not null default now()
);

create table team_members (
  id uuid primary key default uuid_generate_v4(),
  team_id uuid not null references teams on delete cascade,
  player_id uuid not null references players on delete cascade,
  role team_role not null default 'recruit',
  created_at timestamptz not null default now(),
  unique (team_id, player_id)
);

create table team_treasuries (
  id uuid primary key default uuid_generate_v4(),
  team_id uuid not null references teams on delete cascade,
  credits numeric(16,2) not null default 0,
  created_at timestamptz not null default now()
);

create table team_invitations (
  id uuid primary key default uuid_generate_v4(),
  team_id uuid not null references teams on delete cascade,
  player_id uuid not null references players on delete cascade,
  expires_at timestamptz not null,
  created_at timestamptz not null default now()
);

create table player_reputations (
  id uuid primary key default uuid_generate_v4(),
  player_id uuid not null references players on delete cascade,
  reputation_id uuid not null references reputations on delete cascade,
  points integer not null default 0,
  created_at timestamptz not null default now(),
  unique (player_id, reputation_id)
);

create table player_settings (
  id uuid primary key default uuid_generate_v4(),
  player_id uuid not null references players on delete cascade,
  setting text not null,
  value jsonb not null,
  created_at timestamptz not null default now(),
  unique (player_id, setting)
);

create table player_planets (
  id uuid primary key default uuid_generate_v4(),
  player_id uuid not null references players on delete cascade,
  planet_id uuid not null references planets on delete cascade,
  since timestamptz not null default now(),
  created_at timestamptz not null default now()
);

create table genesis_devices (
  id uuid primary key default uuid_generate_v4(),
  player_id uuid not null references players on delete cascade,
  planet_id uuid references planets on delete set null,
  used_at timestamptz,
  created_at timestamptz not null default now()
);

create table drones (
  id uuid primary key default uuid_generate_v4(),
  player_id uuid not null references players on delete cascade,
  sector_id uuid references sectors on delete set null,
  quantity integer not null default 1,
  created_at timestamptz not null default now()
);

create index players_user_id on players (user_id);
create index players_sector_id on players (sector_id);
create index players_team_id on players (team_id);
create index ships_owner_id on ships (owner_id);
create index ships_type_id on ships (type_id);
create index ships_sector_id on ships (sector_id);
create index ship_upgrades_ship_id on ship_upgrades (ship_id);
create index ship_cargo_commodity_id on ship_cargo (commodity_id);
create index ship_insurances_ship_id on ship_insurances (ship_id);
create index team_members_player_id on team_members (player_id);
create index team_treasuries_team_id on team_treasuries (team_id);
create index team_invitations_team_id on team_invitations (team_id);
create index team_invitations_player_id on team_invitations (player_id);
create index player_reputations_reputation_id on player_reputations (reputation_id);
create index player_planets_player_id on player_planets (player_id);
create index player_planets_planet_id on player_planets (planet_id);
create index genesis_devices_player_id on genesis_devices (player_id);
create index genesis_devices_planet_id on genesis_devices (planet_id);
create index drones_player_id on drones (player_id);
create index drones_sector_id on drones (sector_id);
