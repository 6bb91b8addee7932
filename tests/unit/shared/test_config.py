"""Configuration is refused once, with everything that is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.provisioner.settings import Settings as ProvisionerSettings
from shared.config import ConfigInvalid, describe, option, problems_of, read, secret_names, with_files
from shared.secrets import Secret


@dataclass(frozen=True)
class Sample:
    url: str = option("SAMPLE_URL", "where it is")
    size: int = option("SAMPLE_SIZE", "how many", default=5)
    loud: bool = option("SAMPLE_LOUD", "whether it shouts", default=False)
    word: Secret = option("SAMPLE_WORD", "the password", default=Secret(""), secret=True)


@dataclass(frozen=True)
class Paired:
    one: int = option("PAIR_ONE", "the first", default=0, warn=lambda one: "one is few" if one == 1 else "")
    two: int = option("PAIR_TWO", "the second", default=0)

    @staticmethod
    def wrong_together(chosen: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        if chosen.get("PAIR_ONE") and not chosen.get("PAIR_TWO"):
            yield "PAIR_TWO", "goes with PAIR_ONE"


def test_options_are_converted_to_their_fields_types() -> None:
    sample = read(Sample, {"SAMPLE_URL": "x", "SAMPLE_SIZE": "7", "SAMPLE_LOUD": "yes", "SAMPLE_WORD": "hush"})
    assert (sample.url, sample.size, sample.loud, sample.word.reveal()) == ("x", 7, True, "hush")


def test_empty_values_mean_the_default() -> None:
    assert read(Sample, {"SAMPLE_URL": "x", "SAMPLE_SIZE": ""}).size == 5


def test_all_that_is_missing_or_wrong_is_named_at_once() -> None:
    with pytest.raises(ConfigInvalid) as caught:
        read(Sample, {"SAMPLE_SIZE": "ten", "SAMPLE_LOUD": "perhaps"})
    assert len(caught.value.problems) == 3
    assert "SAMPLE_URL" in str(caught.value)


def test_a_description_masks_secrets_and_tells_what_was_given() -> None:
    rows = {row.name: row for row in describe(Sample, {"SAMPLE_URL": "x", "SAMPLE_WORD": "hush"})}
    assert rows["SAMPLE_WORD"].value == "***"
    assert rows["SAMPLE_URL"].given
    assert not rows["SAMPLE_SIZE"].given


def test_a_description_hides_the_password_in_a_url() -> None:
    (url, *_) = describe(Sample, {"SAMPLE_URL": "amqp://me:p@ss:w@rd@host:5672//"})
    assert url.value == "amqp://me:***@host:5672//"


@pytest.mark.parametrize("password", ["hush", "hu@sh", "hu;sh", "hu@;sh", "hu:sh/@"])
def test_every_password_is_hidden_where_several_urls_stand_one_after_the_other(password: str) -> None:
    nodes = f"amqp://me:{password}@a:1//;amqp://me:{password}@b:2//"
    (url, *_) = describe(Sample, {"SAMPLE_URL": nodes})
    assert url.value == "amqp://me:***@a:1//;amqp://me:***@b:2//"


def test_a_description_says_what_is_wrong_and_what_is_unwise() -> None:
    rows = {row.name: row for row in describe(Paired, {"PAIR_ONE": "1"})}
    assert rows["PAIR_TWO"].problem == "PAIR_TWO: goes with PAIR_ONE"
    assert rows["PAIR_ONE"].warning == "one is few"


def test_rules_over_several_options_add_to_the_list_and_see_only_what_is_right() -> None:
    assert problems_of((Paired, Sample), {"PAIR_ONE": "1", "SAMPLE_SIZE": "-3"}) == [
        "PAIR_TWO: goes with PAIR_ONE",
        "SAMPLE_URL is not set: where it is",
        "SAMPLE_SIZE: '-3' is below zero",
    ]
    assert problems_of((Paired,), {"PAIR_ONE": "many"}) == ["PAIR_ONE: 'many' is not a whole number"]


def test_a_fraction_is_no_whole_number() -> None:
    with pytest.raises(ConfigInvalid, match="SAMPLE_SIZE"):
        read(Sample, {"SAMPLE_URL": "x", "SAMPLE_SIZE": 5.7})


def test_an_option_may_stand_in_a_file_that_the_environment_names(tmp_path: Path) -> None:
    place = tmp_path / "password"
    place.write_text("hush: 0\n")
    values = {"OS_PASSWORD": "", "API_DATABASE_URL": "sqlite:///default", "DTROVE_SSH_JUMP_KEY_FILE": "/key"}
    told = {"OS_PASSWORD_FILE": str(place), "UNKNOWN_FILE": "/nowhere", "DTROVE_SSH_JUMP_KEY_FILE": "/key"}
    assert with_files(values, told) == {**values, "OS_PASSWORD": "hush: 0"}
    assert with_files(values, {**told, "OS_PASSWORD": "said"})["OS_PASSWORD"] == ""
    place.write_text("sqlite:///other")
    assert with_files(values, {"API_DATABASE_URL_FILE": str(place)})["API_DATABASE_URL"] == "sqlite:///other"


def test_a_file_that_cannot_be_read_is_told_with_its_option(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        with_files({"A": "", "B": ""}, {"A_FILE": str(tmp_path / "away"), "B_FILE": str(tmp_path)})
    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["A_FILE", "B_FILE"]


def test_the_secrets_of_an_environment_are_its_passwords_and_the_urls_that_hold_one() -> None:
    environ = {
        "OS_PASSWORD": "x",
        "OS_USERNAME": "u",
        "AMQP_URI": "amqp://u:p@h/",
        "PROVISIONER_DATABASE_URL": "sqlite:///x",
    }
    assert sorted(secret_names([ProvisionerSettings], environ)) == ["AMQP_URI", "OS_PASSWORD"]
