-- A small universe, for the server that plays the hosted one: rows in most tables, and all circles closed.
insert into users (username, email, last_login_at)
select 'user' || n, 'user' || n || '@example.com', now() - n * interval '1 hour' from generate_series(1, 200) n;
insert into player_credentials (user_id, password_hash) select id, encode(digest(username, 'sha256'), 'hex') from users;
insert into refresh_tokens (user_id, token_hash, expires_at) select id, digest(email, 'sha256'), now() + interval '30 days' from users;
insert into login_attempts (user_id, address, succeeded) select id, '192.0.2.7', username < 'user5' from users;
insert into audit_logs (user_id, action, detail) select id, 'signed up', jsonb_build_object('name', username, 'ünïcode', '星') from users;
insert into reputations (faction, description) values ('traders', 'those who trade'), ('pirates', null), ('fringe', 'everybody else');

insert into galaxies (name, seed) values ('Central Nexus', 20260418);
insert into regions (galaxy_id, name) select id, 'region ' || n from galaxies, generate_series(1, 4) n;
insert into zones (region_id, name, security) select id, 'zone ' || n, n * 3 from regions, generate_series(1, 3) n;
insert into clusters (zone_id, name) select id, 'cluster ' || n from zones, generate_series(1, 2) n;
insert into sectors (cluster_id, number, kind, hazard)
select c.id, row_number() over (order by c.id, n), (enum_range(null::sector_kind))[1 + n % 6], n / 4.0
from clusters c, generate_series(1, 20) n;
insert into warp_tunnels (origin_id, destination_id, kind, turns)
select a.id, b.id, (enum_range(null::warp_kind))[1 + a.number % 3], 1 + a.number % 5
from sectors a join sectors b on b.number in (a.number + 1, a.number + 17);
insert into planets (sector_id, name, kind, population)
select id, 'planet ' || number, (enum_range(null::planet_kind))[1 + number % 7], number * 1000003::bigint from sectors where number % 4 = 0;
insert into planet_resources (planet_id, commodity, per_day) select id, c, 10 from planets, unnest(enum_range(null::commodity_kind)) c;
insert into ports (sector_id, name, class)
select id, 'port ' || number, (enum_range(null::port_class))[1 + number % 7] from sectors where number % 3 = 0;
insert into commodities (kind, base_price)
select c, (array[12.5, 8.75, 40, 22.1, 199.99, 350])[n] from unnest(enum_range(null::commodity_kind)) with ordinality as all_kinds (c, n);
insert into port_inventories (port_id, commodity_id, quantity, price)
select p.id, c.id, 100, c.base_price * 1.1 from ports p, commodities c;

insert into teams (name, motto) select 'team ' || n, nullif('motto ' || n, 'motto 3') from generate_series(1, 10) n;
insert into players (user_id, nickname, credits, sector_id, team_id)
select u.id, 'pilot-' || u.username, 10000 + u.n * 12.34, s.id, t.id
from (select *, row_number() over (order by username) as n from users) u
join sectors s on s.number = 1 + u.n % 480
join (select *, row_number() over (order by name) as n from teams) t on t.n = 1 + u.n % 10;
insert into ship_types (class, price, holds, speed)
select c, n * 2500, n * 20, 1.5 / n from unnest(enum_range(null::ship_class)) with ordinality as all_classes (c, n);
insert into ships (owner_id, type_id, name, sector_id)
select p.id, t.id, p.nickname || '''s ' || t.class, p.sector_id from players p join ship_types t on t.class in ('scout', 'trader');
insert into ship_cargo (ship_id, commodity_id, quantity) select s.id, c.id, 5 from ships s join commodities c on c.kind in ('ore', 'fuel');
insert into team_members (team_id, player_id) select team_id, id from players;
insert into player_reputations (player_id, reputation_id, points) select p.id, r.id, -5 from players p, reputations r;
insert into trades (player_id, port_id, commodity_id, direction, quantity, total)
select p.id, i.port_id, i.commodity_id, 'buy', 3, 3 * i.price
from players p join lateral (select * from port_inventories order by id limit 10) i on true;
insert into messages (sender_id, recipient_id, body) select id, id, E'to myself:\n\\.\t"quoted"' from players;
insert into messages (sender_id, recipient_id, body, reply_to_id) select recipient_id, sender_id, 'yes', id from messages;
insert into bank_accounts (player_id, balance) select id, credits / 3 from players;

-- the circles
update players p set current_ship_id = s.id from ships s where s.owner_id = p.id;
update teams t set leader_id = p.id from players p where p.team_id = t.id;
update regions r set capital_id = (select id from planets order by id limit 1);
update ports set owner_team_id = (select id from teams order by id limit 1) where class = 'class_6';
