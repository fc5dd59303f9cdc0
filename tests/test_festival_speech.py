"""Sentences are chosen and handed to Festival, here a script that writes what it would."""
import random

import pytest

import festival_speech
from errors import InputError

FESTIVAL = r"""#!/usr/bin/env python3
import re, sys
if sys.argv[2].startswith("("):
    print("(kal_diphone czech_ph some_other_voice)")
    sys.exit()
text = open(sys.argv[2], "rb").read().decode("latin-1")
voice = re.search(r"^\(voice_(\w+)\)$", text, re.M)[1]
for name, stretch, said in re.findall(r'^\(say "(\d+)" ([\d.]+) "(.*)"\)$', text, re.M):
    if "fail" in said:
        continue
    assert 0.75 <= float(stretch) <= 1.25
    open(name + ".wav", "w").write(voice + ": " + said)
    open(name + ".lab", "w").write("#\n0.1000 100 #\n0.5000 100 ch\n")
"""


@pytest.fixture()
def festival(tmp_path, monkeypatch):
    program = tmp_path / "bin" / "festival"
    program.parent.mkdir()
    program.write_text(FESTIVAL)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")


@pytest.fixture()
def texts(tmp_path):
    folder = tmp_path / "text"
    folder.mkdir()
    (folder / "en.txt").write_text("We all fail at times.\nThis one is well said.\nSo be it.\n")
    (folder / "cs.txt").write_text("Míchá karty velmi dobře.\n", encoding="utf-8")
    return folder


def test_sentences_are_of_letters_of_some_length_and_not_shouted():
    text = ("Maybe Bob bought a bag; he didn't say. Too short here. NEVER shout at all people!\n"
            "Call 112 if it burns now. Mám rád, když prší venku. Maybe Bob bought a bag\n"
            "a b c d e f g h i j k l m, x\\y is not for it")
    assert festival_speech.sentences(text) == [
        "Maybe Bob bought a bag", "Mám rád, když prší venku"]


def test_every_installed_voice_speaks_its_language(festival, texts, tmp_path, caplog):
    caplog.set_level("INFO")
    festival_speech.main(["--text_root", str(texts), "--out", str(tmp_path / "out"),
                          "--sentences", "9"])
    said = {str(path.relative_to(tmp_path / "out")): path.read_text()
            for path in (tmp_path / "out").rglob("*.wav")}
    assert sorted(said.values()) == ["czech_ph: Míchá karty velmi dobře".encode("iso-8859-2")
                                     .decode("latin-1"), "kal_diphone: This one is well said"]
    labels = {path.parent.name: path.read_text() for path in (tmp_path / "out").rglob("*.lab")}
    assert labels["kal_diphone"].splitlines()[1:] == ["0.1000 100 #", "0.5000 100 ch"]
    assert labels["czech_ph"].splitlines() == ["#", "0.1000 100 #", "0.5000 100 x"]
    assert "kal_diphone: 1 of 2 sentences" in caplog.text


def test_the_same_seed_chooses_the_same_sentences(festival, tmp_path):
    texts = [f"This is sentence number {chr(97 + i)}" for i in range(20)]
    for name in ("a", "b"):
        rng = random.Random(3)
        festival_speech.speak("kal_diphone", rng.sample(texts, 5), tmp_path / name, rng)
    assert (tmp_path / "a/say.scm").read_bytes() == (tmp_path / "b/say.scm").read_bytes()


def test_what_is_missing_is_named(festival, texts, tmp_path, monkeypatch):
    flags = ["--text_root", str(texts), "--out", str(tmp_path / "out")]
    (texts / "cs.txt").write_text("112\n")
    with pytest.raises(InputError, match=r"cs.txt has no sentence of 4 to 12 words"):
        festival_speech.main(flags)
    (texts / "cs.txt").unlink()
    with pytest.raises(InputError, match=r"no text .*cs.txt"):
        festival_speech.main(flags)
    monkeypatch.setattr(festival_speech, "VOICES", {"pc_diphone": festival_speech.Voice("it")})
    with pytest.raises(InputError, match="none of the voices pc_diphone"):
        festival_speech.main(flags)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="Festival is not installed"):
        festival_speech.main(flags)
    assert not (tmp_path / "out").exists()


def test_a_festival_that_does_not_start_is_named(festival, tmp_path):
    (tmp_path / "bin" / "festival").write_text("#!/bin/sh\necho no init.scm >&2\nexit 3\n")
    with pytest.raises(InputError, match=r"exit code 3 \(no init.scm\)"):
        festival_speech.installed_voices()
