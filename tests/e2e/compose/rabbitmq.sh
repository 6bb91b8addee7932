#!/bin/sh
# RabbitMQ in the foreground with the user that RABBITMQ_DEFAULT_USER and RABBITMQ_DEFAULT_PASS name.
set -eu
chown rabbitmq:rabbitmq /var/lib/rabbitmq
cat >/etc/rabbitmq/rabbitmq.conf <<END
listeners.tcp.default = 5672
default_user = $RABBITMQ_DEFAULT_USER
default_pass = $RABBITMQ_DEFAULT_PASS
loopback_users = none
END
export RABBITMQ_LOGS=- RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='+sbwt none'
exec setpriv --reuid=rabbitmq --regid=rabbitmq --init-groups env HOME=/var/lib/rabbitmq \
    /usr/lib/rabbitmq/bin/rabbitmq-server
