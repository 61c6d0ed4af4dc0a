"""Settings: what can be set, from where, and what each means.

Owns the settings' values and their layers. It does not know what uses them.
"""

from vicinal_daemon.config.layers import REPO_FILE, load, overridden, user_config_file
from vicinal_daemon.config.settings import (
    FeedbackSettings,
    GenerateSettings,
    IndexSettings,
    ModelSettings,
    PromptSettings,
    SelectSettings,
    Settings,
    TuneSettings,
)
from vicinal_daemon.config.table import SettingRow, render_markdown, settings_table

__all__ = [
    "REPO_FILE",
    "FeedbackSettings",
    "GenerateSettings",
    "IndexSettings",
    "ModelSettings",
    "PromptSettings",
    "SelectSettings",
    "SettingRow",
    "Settings",
    "TuneSettings",
    "load",
    "overridden",
    "render_markdown",
    "settings_table",
    "user_config_file",
]
