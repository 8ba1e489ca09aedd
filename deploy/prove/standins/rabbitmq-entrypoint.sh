#!/bin/sh
# As the real image's: the data belongs to the broker's user, who runs it.
set -eu
if [ "$(id -u)" = 0 ]; then
    find /var/lib/rabbitmq ! -user rabbitmq -exec chown rabbitmq {} +
    exec gosu rabbitmq "$0" "$@"
fi
exec "$@"
