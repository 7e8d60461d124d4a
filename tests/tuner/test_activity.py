"""What a worker does reaches whoever reads its file."""

from pathlib import Path

from tuner.activity import Activity, read


def test_a_share_is_written_once_a_second_and_a_new_activity_at_once(tmp_path: Path) -> None:
    now = [0.0]
    one = Activity(tmp_path / "activity", lambda: now[0])
    one.now("epoch 1")
    one.within("computing features of 10 images", 0.2)
    one.within("computing features of 10 images", 0.4)
    assert read(tmp_path / "activity") == "computing features of 10 images, 20 %"
    now[0] = 1.5
    one.within("computing features of 10 images", 0.6)
    assert read(tmp_path / "activity") == "computing features of 10 images, 60 %"
    one.progress(0.0)
    assert read(tmp_path / "activity") == "epoch 1, 0 %"


def test_without_a_folder_nothing_is_written_and_nothing_read(tmp_path: Path) -> None:
    Activity(tmp_path / "none" / "activity").now("epoch 1")
    assert not (tmp_path / "none").exists()
    assert read(tmp_path / "none" / "activity") is None


def test_what_is_no_text_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "activity").write_bytes(b"\xff\xfe\x00")
    assert read(tmp_path / "activity") is None
    (tmp_path / "activity").write_text("epoch\n1 \x00" + "x" * 1000)
    assert len(read(tmp_path / "activity") or "") <= 200
