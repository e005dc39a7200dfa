create table roles (
  id uuid primary key default uuid_generate_v7(),
  name text not null unique,
  created_at timestamptz not null default now()
);

insert into roles (name) values ('user'), ('admin');

create table user_roles (
  user_id uuid not null references users on delete cascade,
  role_id uuid not null references roles on delete cascade,
  created_at timestamptz not null default now(),
  primary key (user_id, role_id)
);

create index user_roles_role_id on user_roles (role_id);
