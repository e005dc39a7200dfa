-- Keys that sort by time: native from PostgreSQL 18 on, a function of our own before. Either way it is called uuid_generate_v7().
do $$
begin
  if current_setting('server_version_num')::int >= 180000 then
    create function uuid_generate_v7() returns uuid language sql volatile parallel safe as 'select uuidv7()';
  else
    -- 48 bits of milliseconds, then what gen_random_uuid() has, with version 7 in place of 4 (RFC 9562)
    create function uuid_generate_v7() returns uuid language sql volatile parallel safe as $f$
      select encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
        placing substring(int8send(floor(extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6), 52, 1), 53, 1), 'hex')::uuid
    $f$;
  end if;
end
$$;

create table users (
  id uuid primary key default uuid_generate_v7(),
  email text not null unique,
  display_name text not null,
  password_hash text, -- null: only a provider logs this user in
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create function touch_updated_at() returns trigger language plpgsql as $$
begin
  new.updated_at = now();
  return new;
end
$$;

create trigger users_updated_at before update on users for each row execute function touch_updated_at();
