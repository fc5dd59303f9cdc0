"""metrics.csv holds means, survives a resume, and collages show what they say."""
import csv

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from errors import InputError
from training_log import TrainingLog, collage


def rows(folder):
    with open(folder / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_rows_are_means_since_the_last_one(tmp_path):
    log = TrainingLog(tmp_path, ["loss", "val_loss"], 0)
    for loss in (1.0, 2.0):
        log.add(loss=loss)
    log.write(2, 0)
    log.add(loss=5.0)
    log.write(3, 1, {"val_loss": 0.25})
    log.close()
    first, second = rows(tmp_path)
    assert (first["step"], first["epoch"], first["loss"], first["val_loss"]) == ("2", "0", "1.5", "")
    assert (second["loss"], second["val_loss"]) == ("5", "0.25")
    board = EventAccumulator(str(tmp_path)).Reload()
    assert [(event.step, event.value) for event in board.Scalars("loss")] == [(2, 1.5), (3, 5.0)]


def test_resumed_run_writes_later_rows_again(tmp_path):
    log = TrainingLog(tmp_path, ["loss"], 0)
    for step in (10, 20, 30):
        log.write(step, 0, {"loss": 1.0})
    log.close()
    log = TrainingLog(tmp_path, ["loss"], 20)
    log.write(30, 0, {"loss": 2.0})
    log.close()
    assert [(row["step"], row["loss"]) for row in rows(tmp_path)] == [
        ("10", "1"), ("20", "1"), ("30", "2")]


def test_folder_of_another_training_is_refused(tmp_path):
    TrainingLog(tmp_path, ["loss"], 0).close()
    with pytest.raises(InputError, match="columns of another kind of training"):
        TrainingLog(tmp_path, ["l1"], 0)


def test_unknown_value_is_refused_and_other_ranks_write_nothing(tmp_path):
    log = TrainingLog(tmp_path / "none", ["loss"], 0, enabled=False)
    with pytest.raises(ValueError, match="no column sync"):
        log.write(1, 0, {"sync": 1.0})
    log.write_collages(1, [])
    log.close()
    assert not (tmp_path / "none").exists()


def test_collage_shows_reference_input_generated_and_truth(tmp_path):
    x = torch.cat([torch.full((3, 5, 96, 96), 0.2), torch.full((3, 5, 96, 96), 0.4)])
    picture = collage(x, torch.full((3, 5, 96, 96), 0.6), torch.full((3, 5, 96, 96), 1.0))
    assert picture.shape == (5 * 96, 4 * 96, 3)
    assert picture[200, [48, 144, 240, 336], 0].tolist() == [102, 51, 153, 255]
    log = TrainingLog(tmp_path, [], 0)
    log.write_collages(7, [picture, np.zeros_like(picture)])
    log.close()
    assert sorted(p.name for p in (tmp_path / "samples_step000000007").iterdir()) == [
        "0.jpg", "1.jpg"]
