"""Imports point only downwards: the rule that keeps one answer in one place."""
import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = {"preprocess", "measure_mouths", "measure_points", "face_points_train",
           "color_syncnet_train", "wav2lip_train", "hq_wav2lip_train", "audio_encoder_train",
           "hearing_generator", "shape_expert_train", "festival_speech", "still_videos",
           "varied_heads", "inference"}
FLOORS = [      # what a module may import of the project lies in a row above its own
    {"hparams", "errors", "atomic_file", "prefetch", "tracking", "torchscript", "flag_types",
     "mouth_shape", "face_regions"},
    {"media", "visemes", "models", "checkpoint", "distributed"},
    {"losses", "audio", "face_detection"},
    {"faces", "face_source", "generator", "clips"},
    {"dataset", "detection_cache", "face_points", "paste"},
    {"pipeline", "loader", "shape_dataset"},
    SCRIPTS,
    {"evaluation"},
]


def module_files() -> dict[str, list[Path]]:
    files = {path.stem: [path] for path in ROOT.glob("*.py")}
    for package in ("media", "models", "face_detection", "evaluation", "filelists"):
        files[package] = sorted((ROOT / package).rglob("*.py"))
    return files


def imported_names(path: Path) -> set[str]:
    """Top-level names of the absolute imports in a file, those inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """Module → the project's modules it imports."""
    files = module_files()
    return {module: set().union(*map(imported_names, paths)) & files.keys() - {module}
            for module, paths in files.items()}


def test_no_module_imports_itself_by_a_detour(imports):
    TopologicalSorter(imports).prepare()        # CycleError names the circle


def test_imports_point_to_lower_floors(imports):
    floor = {module: number for number, row in enumerate(FLOORS) for module in row}
    assert floor.keys() <= imports.keys()
    for module, names in imports.items():
        for name in names:
            if module in floor and name in floor:
                assert floor[name] < floor[module], f"{module} imports {name}"


def test_scripts_never_import_one_another(imports):
    for script in SCRIPTS:
        assert not imports[script] & SCRIPTS
    users = {module for module, names in imports.items() if names & SCRIPTS}
    assert users <= {"evaluation", "benchmark"}


def test_only_media_imports_av():
    users = {module for module, paths in module_files().items()
             if any("av" in imported_names(path) for path in paths)}
    assert users == {"media"}
