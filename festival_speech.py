"""Speech whose phones are known to the hundredth of a second, by Festival: sound and labels.

    python festival_speech.py --text_root text/ --out spoken/

reads sentences of text/en.txt, it.txt, cs.txt, es.txt and ru.txt in every installed voice of that
language, for `audio_encoder_train.py --spoken_root`. Festival and its voices are Debian's:

    apt-get install festival festvox-{kallpc16k,kdlpc16k,us-slt-hts,italp16k,itapc16k,czech-dita,\
czech-krb,czech-machac,czech-ph,ca-ona-hts,suopuhe-lj,suopuhe-mv,ru} festlex-{cmu,poslex}
"""
import argparse
import logging
import random
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from errors import InputError, run_script
from flag_types import whole_number

log = logging.getLogger(__name__)


class Voice(NamedTuple):
    """language: of the text it reads. encoding: in which it takes it. renamed: its name of a phone
    → one that `visemes` knows."""

    language: str
    encoding: str = "latin-1"
    renamed: dict[str, str] = {}


VOICES = {
    "kal_diphone": Voice("en"),
    "ked_diphone": Voice("en"),
    "cmu_us_slt_arctic_hts": Voice("en"),
    "lp_diphone": Voice("it"),
    "pc_diphone": Voice("it"),
    "czech_dita": Voice("cs", "iso-8859-2", {"ch": "x"}),
    "czech_krb": Voice("cs", "iso-8859-2", {"ch": "x"}),
    "czech_machac": Voice("cs", "iso-8859-2", {"ch": "x"}),
    "czech_ph": Voice("cs", "iso-8859-2", {"ch": "x"}),
    "upc_ca_ona_hts": Voice("es"),
    "hy_fi_mv_diphone": Voice("it"),
    "suo_fi_lj_diphone": Voice("es"),
    "msu_ru_nsh_clunits": Voice("ru", "utf-8"),
}
_WORDS = (4, 12)                # of a sentence, at least and at most
_STRETCH = (0.75, 1.25)         # of all durations: fast to slow speech

# What Festival is told before the sentences. An error in one of them must not end the others.
_SCHEME = """\
(define (say name stretch text)
  (unwind-protect
    (begin
      (Parameter.set 'Duration_Stretch stretch)
      (let ((utt (utt.synth (eval (list 'Utterance 'Text text)))))
        (utt.save.segs utt (string-append name ".lab"))
        (utt.save.wave utt (string-append name ".wav"))))
    nil))
"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--text_root", required=True, type=Path, help="folder of UTF-8 texts, en.txt and so on")
    add("--out", required=True, type=Path, help="folder for a folder of each voice")
    add("--sentences", type=whole_number(1), default=250, help="of each voice (default 250)")
    add("--seed", type=whole_number(0), default=0, help="of the choice of sentences (default 0)")
    return parser.parse_args(argv)


def sentences(text: str) -> list[str]:
    """What of a text is letters, spaces, commas and apostrophes alone, of a sentence's length and
    not shouted, in alphabetical order."""
    found = set()
    for part in re.split(r'[.!?;:%"()\[\]\n]', text):
        words = part.split()
        if (_WORDS[0] <= len(words) <= _WORDS[1]
                and re.fullmatch(r"(?:[^\W\d_]|[ ,'])+", " ".join(words))
                and not any(len(word) > 1 and word.isupper() for word in words)):
            found.add(" ".join(words).strip(",'"))
    return sorted(found)


def speak(name: str, texts: Sequence[str], folder: Path, rng: random.Random) -> int:
    """Write 0000.wav and 0000.lab and so on of a voice's sentences; how many it could say."""
    voice = VOICES[name]
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{number:04d}" for number in range(len(texts))]
    orders = [f'(say "{number}" {rng.uniform(*_STRETCH):.2f} "{text}")\n'
              for number, text in zip(names, texts, strict=True)]
    script = folder / "say.scm"
    script.write_bytes("".join([_SCHEME, f"(voice_{name})\n", *orders])
                       .encode(voice.encoding, "ignore"))
    subprocess.run(["festival", "-b", script.name], cwd=folder, check=False,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    said = [folder / f"{number}.lab" for number in names if (folder / f"{number}.wav").is_file()]
    for label in said:
        lines = label.read_text(encoding="utf-8", errors="replace").splitlines()
        label.write_text("".join(f"{_renamed(line, voice)}\n" for line in lines),
                         encoding="utf-8")
    return len(said)


def _renamed(line: str, voice: Voice) -> str:
    rest, _, phone = line.rpartition(" ")
    return f"{rest} {voice.renamed.get(phone, phone)}".lstrip()


def installed_voices() -> list[str]:
    """Those of VOICES that Festival knows here. InputError without any."""
    if not shutil.which("festival"):
        raise InputError("Festival is not installed: apt-get install festival and the voices that "
                         "festival_speech.py names")
    told = subprocess.run(["festival", "-b", "(print (voice.list))"], check=False,
                          capture_output=True, text=True)
    if told.returncode:
        said = told.stderr.strip().splitlines() or ["no reason given"]
        raise InputError(f"Festival fails to list its voices, exit code {told.returncode} "
                         f"({said[-1]}): install it again")
    known = set(re.findall(r"\w+", told.stdout))
    if not known & VOICES.keys():
        raise InputError(f"Festival has none of the voices {', '.join(VOICES)} here: apt-get "
                         "install those that festival_speech.py names")
    return [name for name in VOICES if name in known]


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    voices = installed_voices()
    texts = {}
    for language in sorted({VOICES[name].language for name in voices}):
        path = args.text_root / f"{language}.txt"
        if not path.is_file():
            raise InputError(f"no text {path} for the voices of that language")
        texts[language] = sentences(path.read_text(encoding="utf-8", errors="replace"))
        if not texts[language]:
            raise InputError(f"{path} has no sentence of {_WORDS[0]} to {_WORDS[1]} words")
    rng = random.Random(args.seed)
    for name in tqdm(voices, "speaking", unit="voice"):
        own = texts[VOICES[name].language]
        chosen = rng.sample(own, min(args.sentences, len(own)))
        said = speak(name, chosen, args.out / name, rng)
        log.info("%s: %d of %d sentences", name, said, len(chosen))


if __name__ == "__main__":
    run_script(main)
