"""Read the weights out of a TorchScript archive as data, without running the code in it."""
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def is_archive(path: str | Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def state_dict(path: str | Path) -> dict[str, Tensor]:
    """Parameters and buffers on the CPU under the names that `state_dict()` gives them.

    pickle.UnpicklingError if the archive asks for anything but tensors and plain containers.
    """
    reader = torch._C.PyTorchFileReader(str(path))
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
        with archive.open(name) as file:
            module = _TensorUnpickler(file, reader).load()
    weights: dict[str, Tensor] = {}
    _collect(module, "", weights)
    return weights


class _ScriptObject:
    """Stands for any scripted module: only its attributes matter."""

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        self.attributes = attributes


class _TensorUnpickler(pickle.Unpickler):
    def __init__(self, file: Any, reader: Any) -> None:
        super().__init__(file)
        self._reader = reader
        self._storages: dict[str, torch.UntypedStorage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("__torch__"):
            return _ScriptObject
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return torch._utils._rebuild_tensor_v2
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        if module == "torch" and name.endswith("Storage"):
            return torch.storage._get_dtype_from_pickle_storage_type(name)
        if module == "torch.jit._pickle" and name.startswith(("build_", "restore_type_tag")):
            return lambda values, *_: values
        raise pickle.UnpicklingError(f"refused GLOBAL {module}.{name}")

    def persistent_load(self, pid: tuple) -> torch.TypedStorage:
        _, dtype, key, _, n_elements = pid
        if key not in self._storages:
            n_bytes = n_elements * dtype.itemsize
            self._storages[key] = self._reader.get_storage_from_record(
                f"data/{key}", n_bytes, torch.uint8).untyped_storage()
        return torch.TypedStorage(wrap_storage=self._storages[key], dtype=dtype, _internal=True)


def _collect(value: Any, name: str, weights: dict[str, Tensor]) -> None:
    if isinstance(value, Tensor):
        weights[name] = value.detach()
    elif isinstance(value, _ScriptObject):
        for child_name, child in getattr(value, "attributes", {}).items():
            _collect(child, f"{name}.{child_name}" if name else child_name, weights)
