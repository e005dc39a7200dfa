create table sessions (
  id uuid primary key default uuid_generate_v7(),
  user_id uuid not null references users on delete cascade,
  token_hash bytea not null unique,
  expires_at timestamptz not null,
  created_at timestamptz not null default now()
);

-- the common query: the sessions of a user that have not expired
create index sessions_user_id_expires_at on sessions (user_id, expires_at);
