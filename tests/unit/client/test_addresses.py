from client.local.addresses import first_outgoing, free_ports, is_free


def test_ports_are_free_and_different():
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(is_free(f"127.0.0.1:{port}") for port in ports)


def test_no_port_is_one_that_the_system_gives_to_outgoing_connections():
    assert all(1024 <= port < first_outgoing() for port in free_ports(200))
