from pathlib import Path

from client.local.configuration import expand, load

CONFIG = Path(__file__).parents[3] / "config.yaml"


def test_a_variable_that_is_set_wins_over_its_default():
    assert expand("${PORT:1}", {"PORT": "2"}) == "2"


def test_a_default_may_hold_another_variable():
    assert expand("sqlite:///${HOME_DIR:${OTHER:./var}}/a", {"OTHER": "/x"}) == "sqlite:////x/a"


def test_the_shipped_file_puts_every_database_into_the_home():
    options = load(CONFIG, {"DTROVE_HOME": "/srv/dtrove"})
    urls = [value for name, value in options.items() if name.endswith("DATABASE_URL")]
    assert len(urls) == 4
    assert all(url.startswith("sqlite:////srv/dtrove/") for url in urls)


def test_text_options_are_taken_as_they_stand():
    options = load(CONFIG, {"OS_PASSWORD": "0123", "DTROVE_PREFIX": "sudo -n "})
    assert (options["OS_PASSWORD"], options["DTROVE_PREFIX"]) == ("0123", "sudo -n ")


def test_numbers_are_numbers():
    assert load(CONFIG, {})["DTROVE_MAX_CLUSTER_SIZE"] == 5
