# Stands in for postgres:16: Debian's Postgres behind the same variables, volume and user id.
FROM jeroboam-prove/debian:1
RUN groupmod --gid 999 postgres && usermod --uid 999 --gid 999 postgres \
    && install -d -o postgres -g postgres -m 1777 /var/lib/postgresql/data \
    && install -d -o postgres -g postgres -m 3777 /var/run/postgresql \
    && ln -s /usr/lib/postgresql/*/bin/* /usr/local/bin/
COPY --chmod=0755 postgres-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
ENV PGDATA=/var/lib/postgresql/data
VOLUME /var/lib/postgresql/data
STOPSIGNAL SIGINT
ENTRYPOINT ["docker-entrypoint.sh"]
