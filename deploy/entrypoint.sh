#!/bin/sh
# The images' entry point: every file /run/secrets/JEROBOAM_NAME becomes the setting of that name (so that no secret
# stands in the compose file or in `docker inspect`), then this process becomes the program.
set -eu

for file in /run/secrets/JEROBOAM_*; do
    [ -e "$file" ] || continue
    value=$(cat "$file") || {
        echo "jeroboam: cannot read ${file} as user $(id -u); who may read it? (see deploy/make-secrets)" >&2
        exit 78
    }
    export "${file##*/}=${value}"
done

exec "$@"
