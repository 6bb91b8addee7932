"""What `perform` prints reads like the seed's."""

from __future__ import annotations

import pytest

from services.datastore_agentless.workflows.perform import Voice


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def voice(said: list[str]) -> Voice:
    return Voice("root@10.0.0.1", said.append)


def test_each_command_is_named_before_its_output(voice: Voice, said: list[str]) -> None:
    voice.begin("rm -rf /")
    voice.end(0)
    voice.begin("echo everything gone")
    voice.hear("out", "everything gone\n")
    voice.end(0)
    assert "".join(said) == (
        "[root@10.0.0.1] run: rm -rf /\nout:\n[root@10.0.0.1] run: echo everything gone\nout: everything gone\n"
    )


def test_output_is_told_as_it_comes_though_its_line_is_not_complete(voice: Voice, said: list[str]) -> None:
    voice.hear("out", "10 %")
    assert said == ["out: 10 %"]
    voice.hear("out", " 20 %\nnext")
    voice.end(0)
    assert "".join(said) == "out: 10 % 20 %\nout: next\n"


def test_errors_stand_on_lines_of_their_own_with_the_exit_code_behind(voice: Voice, said: list[str]) -> None:
    voice.hear("out", "half")
    voice.hear("err", "oh\n")
    voice.end(3)
    assert "".join(said) == "out: half\nerr: oh\nexit code: 3\n"
