from __future__ import annotations

import os

from matplotlib.image import imread

from MedADLib.training.plots import draw_all_curves

LOG = "step,rate,train_error,validation_error,validation_nll,seconds\n10,0.1,2,3,,5\n20,0.1,1,2,7,9\n"


def test_every_new_log_is_drawn_once(tmp_path):
    for name in ("vqvae", "prior"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "log.csv").write_text(LOG)
    drawn = draw_all_curves(tmp_path)
    assert drawn == [tmp_path / "prior" / "curves.png", tmp_path / "vqvae" / "curves.png"]
    assert imread(drawn[0]).std() > 0.02
    assert draw_all_curves(tmp_path) == []
    later = drawn[0].stat().st_mtime + 10
    os.utime(tmp_path / "prior" / "log.csv", (later, later))
    assert draw_all_curves(tmp_path) == drawn[:1]
    assert sorted(path.name for path in (tmp_path / "prior").iterdir()) == ["curves.png", "log.csv"]
