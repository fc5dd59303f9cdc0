"""S3FD's published numbers, both detectors on a real portrait, and what load_detector says."""
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import checkpoint
import face_detection
from errors import InputError
from face_detection.detection.haar import HaarDetector
from face_detection.detection.sfd.bbox import nms
from face_detection.detection.sfd.detect import boxes_from_heads, detect
from face_detection.detection.sfd.net_s3fd import S3FD
from face_detection.detection.sfd.sfd_detector import SFDDetector
from fill_weights import fill

ROOT = Path(__file__).parents[1]
# Read off the portrait by eye, in pixels (512×512): hairline, chin's lower edge, cheekbones, mouth.
HAIRLINE, CHIN, LEFT_CHEEK, RIGHT_CHEEK, MOUTH = 72, 179, 182, 267, (224, 146)


@pytest.fixture(scope="module")
def portrait() -> np.ndarray:
    return cv2.imread(str(ROOT / "examples" / "portrait.jpg"))


@pytest.fixture(scope="module")
def haar() -> HaarDetector:
    return HaarDetector()


@pytest.fixture(scope="module")
def s3fd() -> S3FD:
    return fill(S3FD())


@pytest.fixture(scope="module")
def golden_boxes() -> dict[str, np.ndarray]:
    with np.load(ROOT / "tests" / "data" / "s3fd_boxes.npz") as arrays:
        return dict(arrays)


def moved(image: np.ndarray, dx: float, dy: float) -> np.ndarray:
    return cv2.warpAffine(image, np.float32([[1, 0, dx], [0, 1, dy]]), image.shape[1::-1])


def iou(a: np.ndarray, b: np.ndarray) -> float:
    width, height = np.maximum(np.minimum(a[2:4], b[2:4]) - np.maximum(a[:2], b[:2]), 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


# S3FD

def test_s3fd_has_the_published_keys_and_shapes(s3fd, published_shapes):
    shapes = {key: list(tensor.shape) for key, tensor in s3fd.state_dict().items()}
    assert shapes == published_shapes["s3fd"]


def test_s3fd_gives_the_published_maps(s3fd, golden_networks, uniform):
    with torch.inference_mode():
        heads = s3fd(uniform("public/img", (1, 3, 160, 192), -120, 130))
    assert len(heads) == 12
    for i, head in enumerate(heads):
        golden = golden_networks[f"s3fd_{i}"]
        assert np.abs(head.numpy() - golden).max() <= 1e-4 * np.abs(golden).max()


def test_heads_decode_to_the_published_boxes(golden_boxes):
    heads = [torch.from_numpy(golden_boxes[f"head_{i}"]) for i in range(12)]
    both = boxes_from_heads(heads)
    for image in range(2):
        # Coordinates go to some hundreds: float32 leaves about 1e-4 of a pixel.
        np.testing.assert_allclose(both[image], golden_boxes[f"boxes_{image}"], atol=1e-3)
        alone = boxes_from_heads([head[image:image + 1] for head in heads])[0]
        np.testing.assert_array_equal(alone, both[image])


def test_heads_without_a_face_decode_to_an_empty_array():
    heads = []
    for level in range(6):
        side = max(64 >> level, 1)
        heads += [torch.tensor([4.0, -4.0]).view(1, 2, 1, 1).expand(1, 2, side, side),
                  torch.zeros(1, 4, side, side)]
    [boxes] = boxes_from_heads(heads)
    assert boxes.shape == (0, 5)


def test_nms_counts_border_pixels():
    # 0…9 and 5…14 are 10 pixels wide with 5 shared by the "+1" rule: IoU 5/15. Without it, 4/14.
    boxes = np.float32([[5, 0, 14, 9, 0.8], [0, 0, 9, 9, 0.9]])
    assert nms(boxes, 0.32).tolist() == [1]
    assert nms(boxes, 0.34).tolist() == [1, 0]


def test_s3fd_input_is_rgb_minus_the_means_in_published_order(monkeypatch, s3fd):
    seen = []
    monkeypatch.setattr(s3fd, "forward", seen.append)
    monkeypatch.setattr("face_detection.detection.sfd.detect.boxes_from_heads", lambda heads: [])
    detect(s3fd, np.full((1, 40, 50, 3), (10, 20, 30), np.uint8))
    assert seen[0].shape == (1, 3, 40, 50)
    assert seen[0][0, :, 0, 0].tolist() == [30 - 104, 20 - 117, 10 - 123]


def as_sfd_face(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights as sfd_face.pth names them: by their place in VGG-16's list of layers."""
    names, place = {}, 0
    for block, convolutions in enumerate((2, 2, 3, 3, 3), start=1):
        for i in range(1, convolutions + 1):
            names[f"conv{block}_{i}"], place = f"vgg.{place}", place + 2  # itself and its ReLU
        place += 1  # max-pool
    names |= {"fc6": f"vgg.{place}", "fc7": f"vgg.{place + 2}"}
    names |= {"conv6_1": "extras.0", "conv6_2": "extras.1"}
    names |= {"conv7_1": "extras.2", "conv7_2": "extras.3"}
    names |= {f"conv{level}_norm": f"L2Norm{level}" for level in ("3_3", "4_3", "5_3")}
    sources = ("conv3_3_norm", "conv4_3_norm", "conv5_3_norm", "fc7", "conv6_2", "conv7_2")
    for i, source in enumerate(sources):
        names |= {f"{source}_mbox_loc": f"loc.{i}", f"{source}_mbox_conf": f"conf.{i}"}
    layers = {key: key.rpartition(".") for key in weights}
    return {f"{names[layer]}.{kind}": weights[key] for key, (layer, _, kind) in layers.items()}


@pytest.mark.parametrize("rename", [dict, as_sfd_face], ids=["s3fd.pth", "sfd_face.pth"])
def test_both_weight_files_give_the_same_detector(tmp_path, s3fd, portrait, rename):
    path = tmp_path / "weights.pth"
    checkpoint.save(path, rename(s3fd.state_dict()))
    detector = face_detection.load_detector("auto", s3fd_path=path)
    assert isinstance(detector, SFDDetector) and detector.name == "sfd" and not detector.tracks
    image = portrait[40:200, 150:310]
    np.testing.assert_array_equal(detector.detect([image])[0], detect(s3fd, image[None])[0])


def test_s3fd_takes_images_smaller_than_its_strides(s3fd):
    assert len(detect(s3fd, np.zeros((2, 10, 20, 3), np.uint8))) == 2


# Choice of the detector

def test_auto_without_weights_takes_haar_and_says_why(caplog, monkeypatch, tmp_path):
    monkeypatch.setattr("face_detection.api.S3FD_PATH", tmp_path / "s3fd.pth")
    with caplog.at_level(logging.INFO):
        assert face_detection.load_detector().name == "haar"
    assert caplog.messages == [f"face detector: haar (no S3FD weights at {tmp_path / 's3fd.pth'}; "
                               "put s3fd.pth there or pass --s3fd_path)"]


@pytest.mark.parametrize("kind", ["sfd", "auto"])
def test_weights_asked_for_but_missing_are_an_error(tmp_path, kind):
    missing = tmp_path / "none.pth"
    with pytest.raises(InputError) as error:
        face_detection.load_detector(kind, s3fd_path=missing)
    message = str(error.value)
    assert str(missing) in message and "--s3fd_path" in message and "haar" in message
    assert "\n" not in message


def test_another_networks_layers_are_an_error(tmp_path, s3fd):
    weights = dict(s3fd.state_dict())
    del weights["fc7.weight"]
    checkpoint.save(tmp_path / "cut.pth", weights)
    with pytest.raises(InputError, match="fc7.weight"):
        face_detection.load_detector("sfd", s3fd_path=tmp_path / "cut.pth")


def test_unknown_kind_is_an_error():
    with pytest.raises(InputError, match="auto, sfd, haar"):
        face_detection.load_detector("mtcnn")


# Cascades

def test_haar_box_reaches_from_forehead_to_chin(haar, portrait):
    [boxes] = haar.detect([portrait])
    assert boxes.shape == (1, 5) and boxes.dtype == np.float32
    x1, y1, x2, y2, score = boxes[0]
    face_width = RIGHT_CHEEK - LEFT_CHEEK
    assert abs(x1 - LEFT_CHEEK) < 0.15 * face_width and abs(x2 - RIGHT_CHEEK) < 0.15 * face_width
    assert HAIRLINE - 0.15 * face_width < y1 < HAIRLINE + 0.3 * face_width
    assert CHIN < y2 < CHIN + 0.2 * face_width
    assert 1.25 < (y2 - y1) / (x2 - x1) < 1.4
    assert 0.5 < (MOUTH[1] - y1) / (y2 - y1) < 0.8
    assert 0.5 < score <= 1


def test_haar_batch_equals_single(haar, portrait):
    images = [portrait, moved(portrait, 40, 25), np.full_like(portrait, 90)]
    together = haar.detect(np.stack(images))
    for image, boxes in zip(images, together, strict=True):
        np.testing.assert_array_equal(haar.detect([image])[0], boxes)
    assert together[2].shape == (0, 5)


def test_haar_finds_two_faces_and_no_third(haar, portrait):
    half = portrait[20:340, 90:350]
    [boxes] = haar.detect([np.hstack([half, half])])
    assert len(boxes) == 2
    assert abs(np.ptp(boxes[:, 0]) - half.shape[1]) < 0.05 * half.shape[1]


@pytest.mark.parametrize("image", [np.zeros((8, 8, 3)), np.zeros((30, 200, 3)),
                                   np.random.default_rng(0).integers(0, 256, (240, 320, 3))])
def test_haar_finds_nothing_where_nothing_is(haar, image):
    [boxes] = haar.detect([image.astype(np.uint8)])
    assert boxes.shape == (0, 5)


def test_tracking_follows_a_moving_face(haar, portrait):
    box = haar.detect([portrait])[0]
    start = box[0]
    for step in range(1, 11):
        box = haar.track(moved(portrait, 8 * step, 3 * step), box)
        assert len(box) == 1
        expected = start[:4] + np.float32([8, 3, 8, 3]) * step
        assert iou(box[0], expected) > 0.9


def test_tracked_box_is_steady_under_noise(haar, portrait):
    rng = np.random.default_rng(1)
    box, centres = haar.detect([portrait])[0], []
    for _ in range(12):
        noisy = np.clip(portrait + rng.normal(0, 4, portrait.shape), 0, 255).astype(np.uint8)
        box = haar.track(noisy, box)
        centres.append((box[0, :2] + box[0, 2:4]) / 2)
    width = box[0, 2] - box[0, 0]
    assert np.std(centres, axis=0).max() < 0.01 * width


def test_tracking_drops_a_face_that_is_gone(haar, portrait):
    box = haar.detect([portrait])[0]
    assert haar.track(np.full_like(portrait, 90), box).shape == (0, 5)
    outside = box - np.float32([600, 600, 600, 600, 0])
    assert haar.track(portrait, outside).shape == (0, 5)
    assert haar.track(portrait, box[:0]).shape == (0, 5)


# The published API

def test_face_alignment_finds_the_portraits_mouth_in_the_lower_half(portrait):
    alignment = face_detection.FaceAlignment(
        face_detection.LandmarksType._2D, flip_input=False, device="cpu", face_detector="haar")
    images = np.stack([portrait, np.zeros_like(portrait)])
    face, nothing = alignment.get_detections_for_batch(images)
    assert nothing is None
    x1, y1, x2, y2 = face
    assert x1 < MOUTH[0] < x2 and (y1 + y2) / 2 < MOUTH[1] < y2


def test_face_alignment_takes_the_best_box_clips_at_0_and_truncates(monkeypatch):
    boxes = np.float32([[-3.7, 5.9, 20.2, 30.9, 0.9], [1, 1, 9, 9, 0.6]])
    alignment = face_detection.FaceAlignment(face_detector="haar")
    monkeypatch.setattr(alignment.face_detector, "detect", lambda images: [boxes, boxes[:0]])
    found = alignment.get_detections_for_batch(np.zeros((2, 40, 40, 3), np.uint8))
    assert found == [(0, 5, 20, 30), None]
    assert all(type(value) is int for value in found[0])
