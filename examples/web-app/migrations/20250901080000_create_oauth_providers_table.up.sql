create table oauth_providers (
  id uuid primary key default uuid_generate_v7(),
  user_id uuid not null references users on delete cascade,
  provider text not null,
  provider_user_id text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (provider, provider_user_id)
);

create index oauth_providers_user_id on oauth_providers (user_id);

create trigger oauth_providers_updated_at before update on oauth_providers for each row execute function touch_updated_at();
