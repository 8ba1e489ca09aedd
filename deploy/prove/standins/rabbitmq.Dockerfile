# Stands in for rabbitmq:3-management: Debian's RabbitMQ with the same user id, volume and conf.d folder.
FROM jeroboam-prove/debian:1
RUN groupmod --gid 999 rabbitmq && usermod --uid 999 --gid 999 rabbitmq \
    && install -d -o rabbitmq -g rabbitmq -m 0755 /etc/rabbitmq/conf.d /var/lib/rabbitmq /var/log/rabbitmq \
    && echo '[rabbitmq_management].' > /etc/rabbitmq/enabled_plugins
COPY --chmod=0755 rabbitmq-entrypoint.sh /usr/local/bin/docker-entrypoint.sh
# The real programs: Debian's in /usr/sbin change the user.
ENV PATH=/usr/lib/rabbitmq/bin:$PATH \
    HOME=/var/lib/rabbitmq \
    LANG=C.UTF-8 \
    RABBITMQ_LOGS=- \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+sbwt none +sbwtdcpu none +sbwtdio none"
VOLUME /var/lib/rabbitmq
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["rabbitmq-server"]
