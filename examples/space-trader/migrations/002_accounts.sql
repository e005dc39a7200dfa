create table users (
  id uuid primary key default uuid_generate_v4(),
  username text not null unique,
  email text not null unique,
  status account_status not null default 'active',
  last_login_at timestamptz,
  created_at timestamptz not null default now()
);

create table admin_credentials (
  id uuid primary key default uuid_generate_v4(),
  user_id uuid not null references users on delete cascade,
  password_hash text not null,
  created_at timestamptz not null default now()
);

create table player_credentials (
  id uuid primary key default uuid_generate_v4(),
  user_id uuid not null references users on delete cascade,
  password_hash text not null,
  created_at timestamptz not null default now()
);

create table oauth_accounts (
  id uuid primary key default uuid_generate_v4(),
  user_id uuid not null references users on delete cascade,
  provider text not null,
  subject text not null,
  created_at timestamptz not null default now(),
  unique (provider, subject)
);

create table refresh_tokens (
  id uuid primary key default uuid_generate_v4(),
  user_id uuid not null references users on delete cascade,
  token_hash bytea not null unique,
  expires_at timestamptz not null,
  created_at timestamptz not null default now()
);

create table login_attempts (
  id uuid primary key default uuid_generate_v4(),
  user_id uuid references users on delete set null,
  address inet not null,
  succeeded boolean not null,
  created_at timestamptz not null default now()
);

create table mfa_secrets (
  id uuid primary key default uuid_generate_v4(),
  user_id uuid not null references users on delete cascade,
  secret bytea not null,
  created_at timestamptz not null default now()
);

create table audit_logs (
  id uuid primary key default uuid_generate_v4(),
  user_id uuid references users on delete set null,
  action text not null,
  detail jsonb not null default '{}',
  created_at timestamptz not null default now()
);

create table reputations (
  id uuid primary key default uuid_generate_v4(),
  faction text not null unique,
  description text,
  created_at timestamptz not null default now()
);

create index admin_credentials_user_id on admin_credentials (user_id);
create index player_credentials_user_id on player_credentials (user_id);
create index oauth_accounts_user_id on oauth_accounts (user_id);
create index refresh_tokens_user_id on refresh_tokens (user_id);
create index login_attempts_user_id on login_attempts (user_id);
create index mfa_secrets_user_id on mfa_secrets (user_id);
create index audit_logs_user_id on audit_logs (user_id);
