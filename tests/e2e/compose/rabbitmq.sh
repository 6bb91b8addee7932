#!/bin/sh
# RabbitMQ in the foreground with the user that RABBITMQ_DEFAULT_USER and RABBITMQ_DEFAULT_PASS name, with the cookie that
# RABBITMQ_ERLANG_COOKIE names, and with what is mounted into /etc/rabbitmq/conf.d.
set -eu
chown rabbitmq:rabbitmq /var/lib/rabbitmq
cat >/etc/rabbitmq/rabbitmq.conf <<END
listeners.tcp.default = 5672
default_user = $RABBITMQ_DEFAULT_USER
default_pass = $RABBITMQ_DEFAULT_PASS
loopback_users = none
END
for more in /etc/rabbitmq/conf.d/*.conf; do
    if [ -e "$more" ]; then cat "$more" >>/etc/rabbitmq/rabbitmq.conf; fi
done
if [ -n "${RABBITMQ_ERLANG_COOKIE:-}" ]; then
    cookie=/var/lib/rabbitmq/.erlang.cookie
    rm -f "$cookie"
    (umask 077 && printf '%s' "$RABBITMQ_ERLANG_COOKIE" >"$cookie")
    chown rabbitmq:rabbitmq "$cookie"
    chmod 400 "$cookie"
fi
export RABBITMQ_LOGS=- RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='+sbwt none'
exec setpriv --reuid=rabbitmq --regid=rabbitmq --init-groups env HOME=/var/lib/rabbitmq \
    /usr/lib/rabbitmq/bin/rabbitmq-server
