"""Searches on clusters of several machines, which die, join, and are not what they should be."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from results.records import TrialState
from search_spaces import cifar_cnn
from tests.cluster.hosts import IS_SEPARATE, PORT, Host, head, hosts
from tests.faults.broken_search import ROOT, BrokenSearch

TRIALS, EPOCHS = 6, 4
OPTIONS = ("--space", "counted:Counted", "--trials", TRIALS, "--max-epochs", EPOCHS, "--scheduler", "none",
           "--configs", "configs.json", "--image-size", 64, "--precision", "float32",
           "--feature-store-gb", 0)  # rounds, and each machine measures whether it is worth it  # fmt: skip
PIXELS = 1527 * 64 * 64 * 3
"""Bytes of the digits' training and validation images."""


def environment(folder: Path) -> dict[str, str]:
    """Of the machines that train."""
    return {
        "EPOCHS_LOG": str(folder / "epochs.log"),
        "EPOCH_SECONDS": "1",
        "SESSION": "0",
        "PYTHONPATH": f"{folder}:{ROOT}",
    }


def a_search(folder: Path, host: Host, address: str, *options: object) -> BrokenSearch:
    (folder / "configs.json").write_text(json.dumps([{"x": 10 * number} for number in range(TRIALS)]))
    own = host.environment | {"EPOCH_SECONDS": "1", "PYTHONPATH": str(ROOT)}
    return BrokenSearch(folder, *OPTIONS, "--address", address, *options, prefix=host.prefix, environment=own)


def curves(search: BrokenSearch) -> dict[int, list[float]]:
    """Validation losses by configuration."""
    return {trial.configuration["x"]: [epoch.val_loss for epoch in trial.epochs] for trial in search.trials()}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[float]]:
    """What one machine finds, without a cluster."""
    folder = tmp_path_factory.mktemp("alone")
    (folder / "configs.json").write_text(json.dumps([{"x": 10 * number} for number in range(TRIALS)]))
    search = BrokenSearch(folder, *OPTIONS, epoch_seconds=0)
    search.finish()
    return curves(search)


@pytest.mark.parametrize("count", [2, 4])
def test_a_machine_that_dies_takes_no_trial_with_it(count: int, tmp_path: Path, alone: dict[int, list[float]]) -> None:
    with hosts(count, tmp_path) as machines:
        address = head(machines[0], more=environment(tmp_path))
        for one in machines[1:]:
            cpus = 2 if one is machines[-1] else 1
            one.ray(f"--address={address}", f"--num-cpus={cpus}", more=environment(tmp_path))
        received = machines[-1].bytes_received() if IS_SEPARATE else 0
        search = a_search(tmp_path, machines[0], address)
        running = search.start()
        while len({trial.worker for trial in search.trials() if trial.worker}) < count + 1:
            search.wait_for_epochs(running, 1)
            time.sleep(0.1)
        if IS_SEPARATE:
            got = machines[-1].bytes_received() - received
            assert PIXELS < got < 1.9 * PIXELS, "images reach a machine once, not once a worker"
        machines[-1].kill()
        printed, _ = running.communicate(timeout=400)
        assert running.returncode == 0, printed
    assert f"Cluster: {count} machines, {count + 1} CPUs, 0 GPUs" in printed
    assert f"{count + 1} trials at a time" in printed
    assert "in another one" in printed
    trials = search.trials()
    assert [trial.state for trial in trials] == [TrialState.DONE] * TRIALS
    for x, losses in curves(search).items():
        assert losses == pytest.approx(alone[x], rel=1e-3)


def test_a_machine_that_joins_is_used(tmp_path: Path) -> None:
    with hosts(2, tmp_path) as machines:
        address = head(machines[0], more=environment(tmp_path))
        search = a_search(tmp_path, machines[0], "auto")
        running = search.start()
        search.wait_for_epochs(running, 2)
        machines[1].ray(f"--address={address}", "--num-cpus=1", more=environment(tmp_path))
        printed, _ = running.communicate(timeout=400)
        assert running.returncode == 0, printed
    assert f"Note: --address auto ({address}): whoever may use that cluster" in " ".join(printed.split())
    assert "1 trial at a time" in printed
    trials = search.trials()
    assert [trial.state for trial in trials] == [TrialState.DONE] * TRIALS
    assert any(one.started < other.started < one.ended for one in trials for other in trials), "two at a time"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[Host], Path, str]]:
    """A cluster of two; the second one has an empty disk where `mine` is."""
    folder = tmp_path_factory.mktemp("pair")
    (folder / "mine").mkdir()
    (folder / "theirs").mkdir()
    with hosts(2, folder) as machines:
        address = head(machines[0], 1, environment(folder / "mine"))
        machines[1].ray(f"--address={address}", "--num-cpus=1", more=environment(folder / "mine"),
                        inside=f"mount -t tmpfs none {folder / 'mine'}")  # fmt: skip
        yield machines, folder, address


def refused(host: Host, folder: Path, *options: object, root: Path = ROOT) -> tuple[str, float]:
    """The error that a search ends with, which leaves nothing behind; and how long that took."""
    before = sorted(folder.iterdir())
    command = [sys.executable, str(root / "scripts" / "search.py"), "--data", "digits", "--image-size", "8", *options]
    began = time.monotonic()
    running = host.run(*command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       environment={"PYTHONPATH": str(root)})  # fmt: skip
    printed, error = running.communicate(timeout=200)
    assert running.returncode == 2, printed + error
    assert "Traceback" not in error
    assert sorted(folder.iterdir()) == before
    return " ".join(error.split()), time.monotonic() - began


def test_an_address_where_nothing_answers(pair: tuple[list[Host], Path, str]) -> None:
    machines, folder, _ = pair
    error, seconds = refused(machines[0], folder, "--address", f"{machines[0].ip}:{PORT + 7}")
    assert error.startswith(f"Error: --address {machines[0].ip}:{PORT + 7}: no Ray cluster answers there; ")
    assert seconds < 15


@pytest.mark.skipif(not IS_SEPARATE, reason="network namespaces are refused here, and with them disks of one's own")
def test_storage_that_only_the_driver_can_reach(pair: tuple[list[Host], Path, str]) -> None:
    machines, folder, address = pair
    error, _ = refused(machines[0], folder / "mine", "--space", "custom_cnn", "--address", address)
    assert f"--storage {folder / 'mine' / 'runs'}: machine " in error
    assert "cannot use it: what the driver wrote there cannot be seen; give a folder that all machines share" in error


@pytest.mark.skipif(not IS_SEPARATE, reason="network namespaces are refused here, and with them disks of one's own")
def test_a_machine_without_the_weights(pair: tuple[list[Host], Path, str]) -> None:
    machines, folder, address = pair
    for suffix in (".npz", ".json"):
        shutil.copy(cifar_cnn.BUNDLED.with_suffix(suffix), folder / "mine" / f"own{suffix}")
    error, _ = refused(machines[0], folder / "mine", "--address", address, "--backbones", "cifar_cnn", "--weights",
                       folder / "mine" / "own.npz", "--storage", folder / "theirs")  # fmt: skip
    assert "--weights: machine " in error
    assert f"has no {folder / 'mine' / 'own.npz'}; copy it to the same path there" in error


@pytest.mark.skipif(not IS_SEPARATE, reason="network namespaces are refused here, and with them disks of one's own")
@pytest.mark.parametrize("module", ["own", "package.own"])
def test_a_machine_without_a_space_of_ones_own(pair: tuple[list[Host], Path, str], module: str) -> None:
    machines, folder, address = pair
    file = (folder / "mine" / module.replace(".", "/")).with_suffix(".py")
    file.parent.mkdir(exist_ok=True)
    shutil.copy(ROOT / "tests" / "faults" / "counted.py", file)
    (folder / "mine" / "__pycache__").mkdir(exist_ok=True)
    error, _ = refused(machines[0], folder / "mine", "--space", f"{module}:Counted", "--address", address,
                       "--storage", folder / "theirs")  # fmt: skip
    assert f"--space {module}:Counted: machine " in error
    assert "has no such module, or another one; install it there" in error


def test_no_gpu_on_any_machine(pair: tuple[list[Host], Path, str]) -> None:
    machines, folder, address = pair
    error, _ = refused(machines[0], folder, "--space", "custom_cnn", "--address", address, "--gpus-per-trial", 1)
    assert "--gpus-per-trial 1: no machine has a GPU that Ray sees; leave that option out" in error


@pytest.mark.parametrize(
    ("token", "metadata", "message"),
    [
        ("another-token-that-is-long-enough-too", {}, "asks for a token, and yours is none or another one: set RAY_"),
        (None, {"ray_version": "2.59.0"}, "has other versions: ray 2.59.0 there, 2."),
        (None, {"python_version": "3.10.4"}, "has other versions: python 3.10.4 there, 3."),
    ],
)
def test_a_cluster_that_cannot_be_joined(
    pair: tuple[list[Host], Path, str], token: str | None, metadata: dict[str, str], message: str
) -> None:
    machines, folder, address = pair
    own = machines[0].environment | ({"RAY_AUTH_TOKEN": token} if token else {})
    host = Host(machines[0].name, machines[0].ip, machines[0].prefix, own)
    before = change_metadata(machines[0], address, metadata)
    error, seconds = refused(host, folder, "--address", address)
    change_metadata(machines[0], address, before)
    assert f"--address {address}: that cluster {message}" in error
    assert seconds < 15


def test_a_token_in_the_home_folder_is_enough(pair: tuple[list[Host], Path, str]) -> None:
    """As `ray start` finds it; whoever connects would have to set RAY_AUTH_MODE besides."""
    machines, folder, address = pair
    one = machines[0]
    token = Path(one.environment["HOME"]) / ".ray" / "auth_token"
    token.parent.mkdir(exist_ok=True)
    token.write_text(one.environment["RAY_AUTH_TOKEN"])
    own = {name: value for name, value in one.environment.items() if not name.startswith("RAY_AUTH")}
    host = Host(one.name, one.ip, one.prefix, own)
    error, _ = refused(host, folder, "--space", "custom_cnn", "--address", address, "--gpus-per-trial", 1)
    assert "--gpus-per-trial 1: no machine has a GPU that Ray sees" in error


@pytest.mark.parametrize(
    "address", ["", "localhost", "http://localhost:6379", "localhost:abc", "ray://localhost:abc", "ray://[::1"]
)
def test_what_is_no_address(address: str, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "search.py"), "--data", "digits", "--address", address]
    command += ["--storage", str(tmp_path / "runs")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert f"Error: --address {address or '(empty)'}: must be auto, HOST:PORT or ray://HOST" in " ".join(
        done.stderr.split()
    )
    assert not list(tmp_path.iterdir())


def change_metadata(host: Host, address: str, changes: dict[str, str]) -> dict[str, str]:
    """Let the cluster say something else of itself; gives back what it said."""
    code = (
        "import json, sys; from ray._raylet import GcsClient; c = GcsClient(address=sys.argv[1]);"
        "k = (b'CLUSTER_METADATA', b'cluster'); old = json.loads(c.internal_kv_get(*k)); print(json.dumps(old));"
        "c.internal_kv_put(k[0], json.dumps(old | json.loads(sys.argv[2])).encode(), True, k[1])"
    )
    running = host.run(sys.executable, "-c", code, address, json.dumps(changes), stdout=subprocess.PIPE)
    printed, _ = running.communicate(timeout=60)
    found: dict[str, str] = json.loads(printed)
    return found


def test_a_machine_with_other_code(pair: tuple[list[Host], Path, str], tmp_path: Path) -> None:
    """Its thaw-tuner has the same number, but is not the same."""
    machines, folder, address = pair
    copy = tmp_path / "other"
    for room in ("tuner", "results", "search_spaces", "scripts"):
        shutil.copytree(ROOT / room, copy / room)
    with (copy / "tuner" / "clock.py").open("a") as code:
        code.write("# another\n")
    error, _ = refused(machines[0], folder, "--space", "custom_cnn", "--address", address, root=copy)
    assert "of the cluster has other versions: code of thaw-tuner " in error
