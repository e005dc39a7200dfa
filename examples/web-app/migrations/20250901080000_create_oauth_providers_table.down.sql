drop table oauth_providers;
