-- Foreign keys in circles: a player flies a ship that a player owns, a team is led by one of its players, a planet is the capital of the
-- region that it lies in, a port belongs to a team.
alter table players add column current_ship_id uuid references ships on delete set null;
alter table teams add column leader_id uuid references players on delete set null deferrable;
alter table regions add column capital_id uuid references planets on delete set null;
alter table ports add column owner_team_id uuid references teams on delete set null;

create index players_current_ship_id on players (current_ship_id);
create index teams_leader_id on teams (leader_id);
create index regions_capital_id on regions (capital_id);
create index ports_owner_team_id on ports (owner_team_id);
