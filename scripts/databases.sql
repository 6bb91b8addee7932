-- One database for each service; PostgreSQL's image runs this at its first start.
CREATE DATABASE dtrove_api;
CREATE DATABASE dtrove_provisioner;
CREATE DATABASE dtrove_datastore;
CREATE DATABASE dtrove_scheduler;
