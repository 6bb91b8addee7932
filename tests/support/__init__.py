"""What several tests stand on: a RabbitMQ, a PostgreSQL, an installation of our own."""
