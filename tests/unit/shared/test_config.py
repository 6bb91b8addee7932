"""Configuration is refused once, with everything that is wrong."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from shared.config import ConfigInvalid, describe, option, read
from shared.secrets import Secret


@dataclass(frozen=True)
class Sample:
    url: str = option("SAMPLE_URL", "where it is")
    size: int = option("SAMPLE_SIZE", "how many", default=5)
    loud: bool = option("SAMPLE_LOUD", "whether it shouts", default=False)
    word: Secret = option("SAMPLE_WORD", "the password", default=Secret(""), secret=True)


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


def test_a_description_masks_secrets_and_names_the_source() -> None:
    rows = {row.name: row for row in describe(Sample, {"SAMPLE_URL": "x", "SAMPLE_WORD": "hush"})}
    assert rows["SAMPLE_WORD"].value == "***"
    assert rows["SAMPLE_URL"].source == "configured"
    assert rows["SAMPLE_SIZE"].source == "default"
