"""Lists: no speaker in two of them, the same every time, nothing overwritten unasked."""
import sys

import pytest

from errors import InputError, run_script
from filelists import find_clips, split_by_speaker, write_lists
from filelists.__main__ import main, parse_args
from hparams import get_image_list

SHARES = {"test": 0.1, "val": 0.1}


@pytest.fixture
def clips() -> list[str]:
    """20 speakers of 1 to 20 clips."""
    return [f"s{speaker:02}/{clip:05}" for speaker in range(20) for clip in range(speaker + 1)]


@pytest.fixture
def root(tmp_path):
    """A preprocessed root of 6 speakers with 2 clips each, and what is no clip."""
    for speaker in range(6):
        for clip in range(2):
            folder = tmp_path / "data" / f"s{speaker}" / f"{clip:05}"
            folder.mkdir(parents=True)
            (folder / "audio.wav").touch()
    unfinished = tmp_path / "data" / "s0" / ".00007.tmp" / "00007"
    unfinished.mkdir(parents=True)
    (unfinished / "audio.wav").touch()
    (tmp_path / "data" / "s0" / "empty").mkdir()
    return tmp_path / "data"


def speakers(names: list[str]) -> set[str]:
    return {name.split("/")[0] for name in names}


def test_every_clip_is_in_one_list_and_no_speaker_in_two(clips):
    lists = split_by_speaker(clips, SHARES)
    assert sorted(sum(lists.values(), [])) == sorted(clips)
    assert len(set.union(*map(speakers, lists.values()))) == sum(
        len(speakers(names)) for names in lists.values())


@pytest.mark.parametrize("seed", range(10))
def test_shares_are_met_as_nearly_as_whole_speakers_allow(clips, seed):
    lists = split_by_speaker(clips, SHARES, seed=seed)
    for name, share in SHARES.items():
        # No further away than half the largest speaker's 20 clips.
        assert abs(len(lists[name]) - share * len(clips)) <= 10
        assert lists[name]


def test_the_seed_alone_decides(clips):
    first = split_by_speaker(clips, SHARES, seed=3)
    assert first == split_by_speaker(clips[::-1], SHARES, seed=3)
    assert first != split_by_speaker(clips, SHARES, seed=4)


def test_each_list_gets_one_of_three_speakers():
    lists = split_by_speaker(["a/1", "a/2", "a/3", "b/1", "c/1"], {"test": 0.01, "val": 0.01})
    assert all(lists.values())


def test_speakers_can_lie_deeper():
    clips = [f"main/s{speaker}/{clip}" for speaker in range(9) for clip in range(3)]
    with pytest.raises(InputError, match="speaker_depth"):
        split_by_speaker(clips, SHARES)
    lists = split_by_speaker(clips, SHARES, speaker_depth=2)
    assert [len(lists[name]) for name in ("train", "val", "test")] == [21, 3, 3]


def test_without_a_share_a_list_stays_empty(clips):
    lists = split_by_speaker(clips, {"test": 0, "val": 0.1})
    assert lists["test"] == []


def test_only_finished_clips_are_found(root):
    assert find_clips(root) == [f"s{speaker}/{clip:05}" for speaker in range(6)
                                for clip in range(2)]


def test_a_root_without_clips_is_an_error(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        find_clips(tmp_path / "missing")
    with pytest.raises(InputError, match="holds no clip"):
        find_clips(tmp_path)


def test_lists_are_replaced_only_by_force(tmp_path):
    write_lists({"train": ["a/1"]}, tmp_path, force=False)
    with pytest.raises(InputError, match="--force"):
        write_lists({"train": ["b/1"]}, tmp_path, force=False)
    assert (tmp_path / "train.txt").read_text() == "a/1\n"
    write_lists({"train": ["b/1"]}, tmp_path, force=True)
    assert (tmp_path / "train.txt").read_text() == "b/1\n"


def test_the_command_writes_what_training_reads(root, tmp_path, monkeypatch, capsys):
    out = tmp_path / "lists"
    command = ["filelists/__main__.py", "--preprocessed_root", str(root), "--out", str(out),
               "--val", "0.2"]
    monkeypatch.setattr(sys, "argv", command)
    main()
    printed = capsys.readouterr().out
    assert "train.txt: 8 clips of 4 speakers" in printed
    listed = [get_image_list(root, split, out) for split in ("train", "val", "test")]
    assert sorted(sum(listed, [])) == [str(root / name) for name in find_clips(root)]
    with pytest.raises(SystemExit) as exit_:
        run_script(main)
    assert exit_.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("filelists: error: ")


@pytest.mark.parametrize("share", ["-0.1", "1", "nan"])
def test_impossible_shares_are_the_parsers_errors(share, capsys):
    with pytest.raises(SystemExit) as exit_:
        parse_args(["--preprocessed_root", "a", "--val", share])
    assert exit_.value.code == 2 and "must leave a share" in capsys.readouterr().err
