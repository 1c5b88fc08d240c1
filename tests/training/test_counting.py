"""Tables that are counted in photographs suit them."""

from pathlib import Path

import numpy as np
import torch

from convdraw_codec import Codec
from convdraw_codec.network.tables import frequency_table
from convdraw_codec.training.codec_trainer import CodecTrainer
from convdraw_codec.training.counting import counted_tables
from convdraw_codec.training.export import save

from ..conftest import synthetic
from ..tiny import tiny_networks
from .short import SHORT


def test_counted_tables_make_pictures_smaller(tmp_path: Path) -> None:
    networks, seen, unseen = tiny_networks(), synthetic(120, 136, 1), synthetic(90, 70, 2)
    sizes = []
    for tables in (torch.from_numpy(np.stack([frequency_table()] * 3)), counted_tables(networks, [seen])):
        networks.prior.frequencies.copy_(tables)
        save(networks, tmp_path / "m.safetensors")
        codec = Codec(tmp_path / "m.safetensors")
        sizes.append([len(codec.compress(picture, strip=True)) for picture in (seen, unseen)])
        assert np.array_equal(counted_tables(networks, [seen]), counted_tables(networks, [seen]))
    (first, other), (smaller, second) = sizes
    assert smaller < 0.9 * first
    assert second < other


def test_symbols_are_counted_as_soon_as_the_prior_is_trained() -> None:
    trainer = CodecTrainer(SHORT, torch.device("cpu"))
    trainer.photographs = [synthetic(40, 48, 1)]
    trainer.advance()
    promised = trainer.model.prior.frequencies.clone()
    assert np.array_equal(promised[0], frequency_table())
    trainer.advance()
    assert trainer.recipe.stages[trainer.stage - 1].kind == "prior"
    assert np.array_equal(trainer.model.prior.frequencies, counted_tables(trainer.average, trainer.photographs))
    assert not torch.equal(trainer.model.prior.frequencies, promised)
