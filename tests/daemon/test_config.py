"""Settings: the order of layers, what each error says, and that the documentation is the table."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicinal_daemon import config
from vicinal_daemon.errors import ConfigError

ROOT = Path(__file__).parents[2]


def load(tmp_path: Path, user: str = "", repo: str = "", **rest: object) -> config.Settings:
    user_file, repo_file = tmp_path / "config.toml", tmp_path / ".vicinal.toml"
    user_file.write_text(user, encoding="utf-8")
    repo_file.write_text(repo, encoding="utf-8")
    environ = rest.get("environ", {})
    flags = rest.get("flags", {})
    assert isinstance(environ, dict)
    assert isinstance(flags, dict)
    return config.load(tmp_path, flags, environ, user_file)


def refused(tmp_path: Path, user: str = "", repo: str = "", **rest: object) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, user, repo, **rest)
    return caught.value


def test_without_files_everything_is_default(tmp_path: Path) -> None:
    settings = config.load(tmp_path, {}, {}, tmp_path / "none.toml")
    assert settings.model.name == "smollm2-135m"
    assert settings.tune.steps == 8
    assert settings.tune.learning_rate == 0.008
    assert settings.model.cache_dir.is_absolute()
    assert set(settings.origins.values()) == {"default"}
    assert set(settings.origins) == {row.key for row in config.settings_table()}


def test_each_layer_overrides_those_before_it(tmp_path: Path) -> None:
    user, repo = "seed = 1\n[tune]\nsteps = 1\nrank = 1\n", "[tune]\nsteps = 2\nguard = false\n"
    environ = {"VICINAL_TUNE_STEPS": "3", "VICINAL_SELECT_NOISE": "1", "HOME": "/x"}
    settings = load(tmp_path, user, repo)
    assert (settings.seed, settings.tune.steps, settings.tune.rank, settings.tune.guard) == (1, 2, 1, False)
    settings = load(tmp_path, user, repo, environ=environ)
    assert (settings.tune.steps, settings.select.noise) == (3, 1.0)
    settings = load(tmp_path, user, repo, environ=environ, flags={"tune.steps": 4, "tune.rank": None})
    assert (settings.tune.steps, settings.tune.rank) == (4, 1)
    assert settings.origins["tune.steps"] == "flag --tune-steps"
    assert settings.origins["tune.rank"] == f"user file {tmp_path / 'config.toml'}"
    assert settings.origins["tune.guard"] == f"repo file {tmp_path / '.vicinal.toml'}"
    assert settings.origins["select.noise"] == "VICINAL_SELECT_NOISE"
    assert settings.origins["prompt.picks"] == "default"


@pytest.mark.parametrize(
    ("user", "near"),
    [
        ("[tune]\nstep = 1", "tune.steps"),
        ("steps = 1", "tune.steps"),
        ("[tunes]\nsteps = 1", "tune.steps"),
        ("[select]\nstratgy = 'nn'", "select.strategy"),
        ("origins = 1", ""),
    ],
)
def test_an_unknown_key_names_the_file_and_the_nearest(tmp_path: Path, user: str, near: str) -> None:
    error = refused(tmp_path, user)
    assert str(tmp_path / "config.toml") in error.message
    assert error.hint == (f"Did you mean {near}?" if near else "`vicinal config` lists the valid ones.")


@pytest.mark.parametrize(
    "user",
    [
        "[tune]\nsteps = 201",
        "[tune]\nsteps = '3'",
        "[tune]\nsteps = true",
        "[tune]\nsteps = 1.5",
        "[tune]\nguard = 1",
        "[tune]\nlearning_rate = nan",
        "[select]\nnoise = -1.0",
        "[select]\nstrategy = 'best'",
        "[index]\ndata_dir = 'relative'",
        "[index]\ndata_dir = 3",
        "[index]\ndata_dir = '~no-such-user/x'",
        "[model]\nname = ''",
        "[tune.steps]\nx = 1",
        "tune = 3",
    ],
)
def test_a_bad_value_names_the_file(tmp_path: Path, user: str) -> None:
    error = refused(tmp_path, user)
    assert error.message.startswith(str(tmp_path / "config.toml"))
    assert error.hint
    assert error.exit_code == 2


def test_a_bad_value_says_what_is_valid(tmp_path: Path) -> None:
    error = refused(tmp_path, "[tune]\nsteps = 201")
    assert error.message.endswith("tune.steps cannot be 201: input should be less than or equal to 200.")
    assert error.hint == "Valid: integer, 0 to 200; the default is 8."


def test_environment_variables_are_parsed_and_checked(tmp_path: Path) -> None:
    environ = {"VICINAL_TUNE_GUARD": "off", "VICINAL_INDEX_DATA_DIR": "~/data", "VICINAL_SEED": "7"}
    settings = load(tmp_path, environ=environ)
    assert (settings.tune.guard, settings.seed) == (False, 7)
    assert settings.index.data_dir == Path.home() / "data"
    error = refused(tmp_path, environ={"VICINAL_TUNE_STEPS": "many"})
    assert error.message.startswith("VICINAL_TUNE_STEPS: tune.steps cannot be 'many'")
    error = refused(tmp_path, environ={"VICINAL_TUNE_STEP": "1"})
    assert "VICINAL_TUNE_STEP " in error.message
    assert error.hint == "Did you mean VICINAL_TUNE_STEPS?"


def test_flags_are_checked(tmp_path: Path) -> None:
    assert "--tune-steps" in refused(tmp_path, flags={"tune.steps": -1}).message
    assert "--nonsense" in refused(tmp_path, flags={"nonsense": 1}).message
    assert load(tmp_path, flags={"model.cache_dir": tmp_path}).model.cache_dir == tmp_path


def test_malformed_files_name_the_line(tmp_path: Path) -> None:
    assert "at line 2" in refused(tmp_path, "[tune]\nsteps = \n").message
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(None, {}, {}, tmp_path / "binary.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(None, {}, {}, tmp_path)
    assert load(tmp_path, "\ufeffseed = 3\r\n").seed == 3


@pytest.mark.parametrize("row", [row for row in config.settings_table() if not row.from_repo], ids=lambda row: row.key)
def test_a_repository_chooses_neither_models_nor_folders(tmp_path: Path, row: config.SettingRow) -> None:
    section, name = row.key.split(".")
    error = refused(
        tmp_path, repo=f"[{section}]\n{name} = '/evil'" if "device" not in name else "[model]\ndevice='cpu'"
    )
    assert str(tmp_path / ".vicinal.toml") in error.message


def test_every_path_and_every_setting_of_the_machine_is_closed_to_repositories() -> None:
    closed = {row.key for row in config.settings_table() if not row.from_repo}
    machine = ("model.", "daemon.", "engine.", "adapters.limit_")
    single = {"index.embedder", "warm.idle_seconds", "warm.on_battery", "feedback.enabled", "tune.depth"}
    sensitive = {row.key for row in config.settings_table() if row.key.startswith(machine) or row.type == "path"}
    assert closed == sensitive | single


def test_every_setting_is_described() -> None:
    for row in config.settings_table():
        assert row.description.endswith("."), row.key
        assert "|" not in row.description, row.key


def test_the_documentation_is_the_table() -> None:
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == config.render_markdown()


@given(st.dictionaries(st.sampled_from([row.environment for row in config.settings_table()]), st.text(max_size=8)))
def test_no_environment_escapes_as_anything_but_a_config_error(environ: dict[str, str]) -> None:
    try:
        settings = config.load(None, {}, environ, ROOT / "no-such-file.toml")
    except ConfigError:
        return
    assert {key for key, origin in settings.origins.items() if origin != "default"} == {
        row.key for row in config.settings_table() if row.environment in environ
    }
