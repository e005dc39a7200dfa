create table galaxies (
  id uuid primary key default uuid_generate_v4(),
  name text not null unique,
  seed bigint not null,
  created_at timestamptz not null default now()
);

create table regions (
  id uuid primary key default uuid_generate_v4(),
  galaxy_id uuid not null references galaxies on delete cascade,
  name text not null,
  created_at timestamptz not null default now(),
  unique (galaxy_id, name)
);

create table zones (
  id uuid primary key default uuid_generate_v4(),
  region_id uuid not null references regions on delete cascade,
  name text not null,
  security smallint not null default 5 check (security between 0 and 10),
  created_at timestamptz not null default now()
);

create table clusters (
  id uuid primary key default uuid_generate_v4(),
  zone_id uuid not null references zones on delete cascade,
  name text not null,
  created_at timestamptz not null default now()
);

create table sectors (
  id uuid primary key default uuid_generate_v4(),
  cluster_id uuid not null references clusters on delete cascade,
  number integer not null unique,
  kind sector_kind not null default 'normal',
  hazard numeric(5,2) not null default 0,
  created_at timestamptz not null default now()
);

create table warp_tunnels (
  id uuid primary key default uuid_generate_v4(),
  origin_id uuid not null references sectors on delete cascade,
  destination_id uuid not null references sectors on delete cascade,
  kind warp_kind not null default 'natural',
  turns smallint not null default 1,
  created_at timestamptz not null default now(),
  check (origin_id <> destination_id)
);

create table planets (
  id uuid primary key default uuid_generate_v4(),
  sector_id uuid not null references sectors on delete cascade,
  name text not null,
  kind planet_kind not null,
  population bigint not null default 0,
  created_at timestamptz not null default now()
);

create table planet_resources (
  id uuid primary key default uuid_generate_v4(),
  planet_id uuid not null references planets on delete cascade,
  commodity commodity_kind not null,
  per_day integer not null default 0,
  created_at timestamptz not null default now(),
  unique (planet_id, commodity)
);

create table planet_defenses (
  id uuid primary key default uuid_generate_v4(),
  planet_id uuid not null references planets on delete cascade,
  shields integer not null default 0,
  drones integer not null default 0,
  created_at timestamptz not null default now()
);

create table ports (
  id uuid primary key default uuid_generate_v4(),
  sector_id uuid not null references sectors on delete cascade,
  name text not null,
  class port_class not null,
  created_at timestamptz not null default now()
);

create table commodities (
  id uuid primary key default uuid_generate_v4(),
  kind commodity_kind not null unique,
  base_price numeric(12,2) not null check (base_price > 0),
  created_at timestamptz not null default now()
);

create table port_inventories (
  id uuid primary key default uuid_generate_v4(),
  port_id uuid not null references ports on delete cascade,
  commodity_id uuid not null references commodities on delete cascade,
  quantity integer not null default 0 check (quantity >= 0),
  price numeric(12,2) not null,
  created_at timestamptz not null default now(),
  unique (port_id, commodity_id)
);

create table market_prices (
  id uuid primary key default uuid_generate_v4(),
  port_id uuid not null references ports on delete cascade,
  commodity_id uuid not null references commodities on delete cascade,
  price numeric(12,2) not null,
  seen_at timestamptz not null default now(),
  created_at timestamptz not null default now()
);

create table price_alerts (
  id uuid primary key default uuid_generate_v4(),
  user_id uuid not null references users on delete cascade,
  commodity_id uuid not null references commodities on delete cascade,
  below numeric(12,2) not null,
  created_at timestamptz not null default now()
);

create table discoveries (
  id uuid primary key default uuid_generate_v4(),
  sector_id uuid not null references sectors on delete cascade,
  user_id uuid references users on delete set null,
  what text not null,
  created_at timestamptz not null default now()
);

create index zones_region_id on zones (region_id);
create index clusters_zone_id on clusters (zone_id);
create index sectors_cluster_id on sectors (cluster_id);
create index warp_tunnels_origin_id on warp_tunnels (origin_id);
create index warp_tunnels_destination_id on warp_tunnels (destination_id);
create index planets_sector_id on planets (sector_id);
create index planet_defenses_planet_id on planet_defenses (planet_id);
create index ports_sector_id on ports (sector_id);
create index port_inventories_commodity_id on port_inventories (commodity_id);
create index market_prices_port_id on market_prices (port_id);
create index market_prices_commodity_id on market_prices (commodity_id);
create index price_alerts_user_id on price_alerts (user_id);
create index price_alerts_commodity_id on price_alerts (commodity_id);
create index discoveries_sector_id on discoveries (sector_id);
create index discoveries_user_id on discoveries (user_id);
