create function set_updated_at() returns trigger
language plpgsql as $$
begin
  new.updated_at := current_timestamp;
  return new;
end
$$;
comment on function set_updated_at() is 'Notes when a row was changed last.';

create trigger users_updated_at before update on users
  for each row when (old.* is distinct from new.*) execute function set_updated_at();

create trigger outbox_updated_at before update on outbox
  for each row when (old.* is distinct from new.*) execute function set_updated_at();

create trigger settings_updated_at before update on settings
  for each row when (old.* is distinct from new.*) execute function set_updated_at();
