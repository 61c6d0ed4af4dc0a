"""What earlier versions wrote is read or built anew, and no feedback is lost; what a later one wrote is left alone."""

import hashlib
import importlib.util
import json
import struct
from pathlib import Path

import pytest
import torch

from vicinal_daemon import config
from vicinal_daemon.config.settings import GONE
from vicinal_daemon.config.table import entries, variable_of
from vicinal_daemon.errors import ConfigError
from vicinal_daemon.evaluate import record
from vicinal_daemon.models import layout, manifest, pull
from vicinal_daemon.models.inventory import list_models
from vicinal_daemon.tune import adapter_file, checkpoints
from vicinal_daemon.tune.adapters import AdapterStore
from vicinal_daemon.tune.files import read_adapter
from vicinal_daemon.uncertainty import calibration, database
from vicinal_daemon.uncertainty.feedback import FeedbackStore, Outcome, feedback_file
from vicinal_daemon.workspaces.memory import Memory
from vicinal_indexer.chunks import CHUNKER_VERSION
from vicinal_indexer.errors import WrittenByLater
from vicinal_indexer.index import RepositoryIndex
from vicinal_indexer.rows import SCHEMA_VERSION
from vicinal_indexer.stored import folder_of

FIXTURES = Path(__file__).parent / "fixtures"
_spec = importlib.util.spec_from_file_location("make", FIXTURES / "make.py")
assert _spec is not None
assert _spec.loader is not None
make = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make)

INDEX = f"index-{SCHEMA_VERSION}-{CHUNKER_VERSION}"
WRITTEN_NOW = (
    INDEX,
    f"feedback-{database.VERSION}",
    f"adapter-{adapter_file.FORMAT.rpartition('-')[2]}",
    f"checkpoint-{checkpoints.FORMAT}",
    f"calibration-{calibration.SCHEMA}",
    f"records-{record.FORMAT}",
    f"manifest-{manifest._FORMAT}",
    "workspaces-1",
)
LARGEST = 10_000


def written(what: str) -> list[str]:
    """The fixtures of all versions of something."""
    found = sorted(path.name.removesuffix(".tar.xz") for path in FIXTURES.glob(f"{what}-*.tar.xz"))
    assert found
    return found


def held(folder: Path) -> dict[str, str]:
    """The digest of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("name", WRITTEN_NOW)
def test_each_version_has_a_fixture(name: str) -> None:
    file = FIXTURES / f"{name}.tar.xz"
    assert file.exists(), f"run: PYTHONPATH=indexer:daemon python tests/fixtures/make.py {name.partition('-')[0]}"


def test_fixtures_are_small() -> None:
    assert [path.name for path in FIXTURES.iterdir() if path.is_file() and path.stat().st_size > LARGEST] == []


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """The repository that stores of fixtures are of, as it is now."""
    root = tmp_path / "shop"
    for name, text in make.FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def lay_out_index(name: str, shop: Path, data: Path) -> Path:
    """A fixture's store as the one of `shop`."""
    folder = folder_of(shop.resolve(), data)
    folder.parent.mkdir(parents=True)
    return (make.unpacked(name, data / "unpacked") / "store").rename(folder)


@pytest.mark.parametrize("name", written("index"))
def test_an_index_of_any_version_is_read_or_built_anew(name: str, shop: Path, tmp_path: Path) -> None:
    lay_out_index(name, shop, tmp_path / "data")
    with RepositoryIndex.open(shop, tmp_path / "data") as opened:
        report = opened.sync()
        if name == INDEX:
            assert report.rebuilt_because is None
            assert report.added == 0
        else:
            assert "the index was made with" in str(report.rebuilt_because)
            assert report.added == len(make.FILES)
        assert opened.digests().keys() == make.FILES.keys()
        assert opened.sync().rebuilt_because is None


@pytest.mark.parametrize("key", ["schema", "chunker"])
def test_an_index_of_a_later_version_is_left_as_it_is_until_a_rebuild_is_asked_for(
    key: str, shop: Path, tmp_path: Path
) -> None:
    folder = lay_out_index(INDEX, shop, tmp_path / "data")
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps(meta | {key: meta[key] + 1, "something": "else"}))
    before = held(folder)
    with RepositoryIndex.open(shop, tmp_path / "data") as opened:
        for use in (opened.sync, opened.status, opened.digests):
            with pytest.raises(WrittenByLater, match=f"later Vicinal \\({key}") as told:
                use()
            assert "--rebuild" in told.value.hint
        assert held(folder) == before
        assert opened.rebuild().added == len(make.FILES)


@pytest.mark.parametrize("name", written("feedback"))
def test_feedback_of_any_version_is_kept(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make.unpacked(name, tmp_path)
    for _ in range(2):
        store = FeedbackStore(feedback_file(tmp_path))
        told = {one.id: one for one in store.told()}
        store.close()
        assert {key: one.outcomes for key, one in told.items()} == {
            "kept": (Outcome("accepted", 31), Outcome("survived", kept_share=0.75, after_seconds=30.0)),
            "dropped": (Outcome("rejected"),),
            "unseen": (),
        }
        assert told["kept"].features.value == make.FEATURES[0]
        assert told["kept"].features.model == make.FEATURES[-1]
    assert caplog.text == ""


def adapters_of(name: str, tmp_path: Path) -> AdapterStore:
    return AdapterStore(make.unpacked(name, tmp_path) / "adapters", 10**9, 100)


@pytest.mark.parametrize("name", written("adapter"))
def test_an_adapter_of_any_version_is_read_bit_for_bit(name: str, tmp_path: Path) -> None:
    store = adapters_of(name, tmp_path)
    assert store.open() == []
    info = store.warm(make.WORKSPACE, "f" * 64)
    assert info is not None
    assert (info.steps, info.scale, info.pinned, [pick.path for pick in info.picks]) == (8, 0.5, True, ["refund.py"])
    found = read_adapter(info.file)
    assert (found.rank, found.scale) == (2, 0.5)
    assert [value.flatten().tolist() for value in found.tensors.values()] == [torch.arange(8.0).tolist()] * 2


def test_an_adapter_of_a_later_version_is_left_alone_and_not_worn(tmp_path: Path) -> None:
    store = adapters_of(WRITTEN_NOW[2], tmp_path)
    (file,) = store.folder.glob("*.safetensors")
    data = file.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = data[8 : 8 + length].replace(b"vicinal-adapter-1", b"vicinal-adapter-2")
    file.write_bytes(data[:8] + header + data[8 + length :])
    before = held(store.folder)
    store.open()
    store.forget(make.WORKSPACE, lambda path: False)
    assert store.all() == ()
    assert held(store.folder) == before


@pytest.mark.parametrize("name", written("checkpoint"))
def test_training_goes_on_from_a_checkpoint_of_any_version(name: str, tmp_path: Path) -> None:
    store = checkpoints.Checkpoints(make.unpacked(name, tmp_path) / "checkpoints")
    assert store.workspaces() == (make.WORKSPACE,)
    found = store.load(make.WORKSPACE)
    assert found is not None
    assert (found.done, found.file.read_bytes()) == (16, b"what was learned in sixteen steps")
    assert [pick.path for pick in found.picks] == ["refund.py", "shop/cart.py"]


def test_a_checkpoint_of_a_later_version_is_not_gone_on_from(tmp_path: Path) -> None:
    store = checkpoints.Checkpoints(make.unpacked(WRITTEN_NOW[3], tmp_path) / "checkpoints")
    (file,) = store.folder.glob("*.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": checkpoints.FORMAT + 1}))
    assert store.load(make.WORKSPACE) is None


@pytest.mark.parametrize("name", written("calibration"))
def test_a_calibration_of_any_version_is_used(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert calibration.load(make.unpacked(name, tmp_path)).sheet.answers > 0
    assert caplog.text == ""


def test_a_calibration_of_a_later_version_is_set_aside_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = calibration.calibration_file(make.unpacked(WRITTEN_NOW[4], tmp_path))
    file.write_text(json.dumps(json.loads(file.read_text()) | {"schema": calibration.SCHEMA + 1}))
    before = file.read_bytes()
    assert calibration.load(tmp_path) == calibration.default_calibration()
    assert "of schema" in caplog.text
    (aside,) = tmp_path.glob("calibration.json.*")
    assert aside.read_bytes() == before


@pytest.mark.parametrize("name", written("records"))
def test_records_of_any_version_are_read_and_gone_on_with(name: str, tmp_path: Path) -> None:
    file = make.unpacked(name, tmp_path) / "records.jsonl"
    header, found = record.read_records(file)
    assert [one.mode for one in found] == ["base", "sift"]
    with record.RecordFile(file, header) as opened:
        opened.append(found[0])
    assert len(record.read_records(file)[1]) == 3


def test_records_of_a_later_version_are_refused(tmp_path: Path) -> None:
    file = make.unpacked(WRITTEN_NOW[5], tmp_path) / "records.jsonl"
    header, _ = record.read_records(file)
    before = file.read_text().replace(f'"format": {record.FORMAT}', f'"format": {record.FORMAT + 1}')
    file.write_text(before)
    for use in (lambda: record.read_records(file), lambda: record.RecordFile(file, header)):
        with pytest.raises(WrittenByLater, match="later Vicinal"):
            use()
    assert file.read_text() == before


@pytest.mark.parametrize("name", written("manifest"))
def test_a_model_of_any_version_is_whole(name: str, tmp_path: Path) -> None:
    folder = make.unpacked(name, tmp_path) / "model"
    found = manifest.read_manifest(folder)
    assert found is not None
    manifest.check_hashes(folder, found, lambda *said: None)


def test_a_model_of_a_later_version_is_neither_used_nor_fetched_over(tmp_path: Path) -> None:
    folder = layout.model_folder(tmp_path / "cache", "smollm2-135m")
    folder.parent.mkdir(parents=True)
    (make.unpacked(WRITTEN_NOW[6], tmp_path) / "model").rename(folder)
    said = json.loads((folder / layout.MANIFEST).read_text())
    (folder / layout.MANIFEST).write_text(json.dumps({"format": said["format"] + 1}))
    before = held(folder)
    with pytest.raises(WrittenByLater, match="later Vicinal"):
        pull("smollm2-135m", tmp_path / "cache")
    assert [one.problem for one in list_models(tmp_path / "cache") if "later Vicinal" in one.problem]
    assert held(folder) == before


@pytest.mark.parametrize("name", written("workspaces"))
def test_which_repositories_were_open_is_remembered(name: str, tmp_path: Path) -> None:
    memory = Memory(make.unpacked(name, tmp_path) / "workspaces.json")
    assert memory.used() == {Path(make.WORKSPACE): 1.5}


EVER = (FIXTURES / "settings.txt").read_text(encoding="utf-8").split()


def test_each_setting_that_there_ever_was_is_known_or_said_to_be_gone() -> None:
    assert sorted({*entries(), *GONE}) == sorted(EVER), "add what is new to tests/fixtures/settings.txt"


@pytest.mark.parametrize("key", sorted(GONE))
def test_a_setting_that_is_gone_is_told_with_what_to_do(key: str, tmp_path: Path) -> None:
    section, _, name = key.rpartition(".")
    file = tmp_path / "config.toml"
    file.write_text(f"[{section}]\n{name} = 1\n")
    with pytest.raises(ConfigError, match=f"no setting {key} any more") as told:
        config.load(None, {}, {}, file)
    assert told.value.hint == GONE[key]
    with pytest.raises(ConfigError, match="any more") as told:
        config.load(None, {}, {variable_of(key): "1"}, tmp_path / "none.toml")
    assert told.value.hint == GONE[key]
