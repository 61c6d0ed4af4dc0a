"""The embedder that the settings name.

Owns how it is found. It does not know what is embedded.
"""

from vicinal_daemon.config import Settings
from vicinal_indexer.embed import Embedder, StaticEmbedder

DEFAULT_EMBEDDER = "static"


def open_embedder(settings: Settings) -> Embedder:
    """The embedder that the settings name.

    Raises:
        ModelError: it is not on this machine.
        IndexingError: it cannot be loaded.
    """
    name = settings.index.embedder
    if name == DEFAULT_EMBEDDER:
        return StaticEmbedder()
    from vicinal_daemon.models import resolve_encoder
    from vicinal_daemon.models.layout import HubId, parse_model
    from vicinal_indexer.embed.encoder import SentenceEmbedder

    if isinstance(parse_model(name), HubId):
        return SentenceEmbedder(name)
    return SentenceEmbedder(resolve_encoder(name, settings.model.cache_dir))
