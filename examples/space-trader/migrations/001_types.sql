-- The extensions uuid-ossp and pgcrypto are declared in pgbosun.yaml: they are there before the first migration.
create type account_status as enum ('active', 'suspended', 'closed');
create type ship_class as enum ('scout', 'trader', 'freighter', 'colony_ship', 'carrier', 'defender', 'warp_jumper');
create type sector_kind as enum ('normal', 'nebula', 'asteroid_field', 'black_hole', 'wormhole', 'terran_space');
create type planet_kind as enum ('terran', 'oceanic', 'mountainous', 'desert', 'frozen', 'volcanic', 'gas_giant');
create type port_class as enum ('class_0', 'class_1', 'class_2', 'class_3', 'class_4', 'class_5', 'class_6');
create type commodity_kind as enum ('ore', 'organics', 'equipment', 'fuel', 'luxury', 'technology');
create type trade_direction as enum ('buy', 'sell');
create type team_role as enum ('leader', 'officer', 'member', 'recruit');
create type mission_state as enum ('offered', 'accepted', 'completed', 'failed', 'expired');
create type combat_outcome as enum ('attacker_won', 'defender_won', 'draw', 'fled');
create type warp_kind as enum ('natural', 'quantum', 'unstable');
create type message_kind as enum ('private', 'team', 'broadcast', 'system');
