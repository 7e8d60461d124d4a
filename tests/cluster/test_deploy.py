"""What is in deploy/: held against schemas, and the Slurm script run."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import ray
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from results.records import TrialState, read_study
from tests.cluster.hosts import Host, hosts
from tests.faults.broken_search import ROOT, BrokenSearch

DEPLOY = ROOT / "deploy"


def test_the_file_for_ray_up_is_one() -> None:
    config = prepare_config(yaml.safe_load((DEPLOY / "ray-cluster.yaml").read_text()))
    validate_config(config)
    assert config["head_start_ray_commands"][-1].endswith("--autoscaling-config=~/ray_bootstrap_config.yaml")


def test_the_pods_of_the_job_on_kubernetes_are_valid() -> None:
    """KubeRay's own part has no schema in a package; its names are those of RayJob v1 in KubeRay 1.4."""
    job = yaml.safe_load((DEPLOY / "ray-job.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    known = {"entrypoint", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished", "rayClusterSpec"}
    assert job["spec"].keys() <= known
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster.keys() <= {"rayVersion", "enableInTreeAutoscaling", "headGroupSpec", "workerGroupSpecs"}
    assert cluster["rayVersion"] == ray.__version__
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, **group["template"]}
        kubernetes_validate.validate(pod, "1.33", strict=True)


def a_slurm(folder: Path, machines: list[Host]) -> Path:
    """Commands that do what Slurm's do, on machines of ours."""
    folder.mkdir()
    known = {host.name: {"prefix": host.prefix, "environment": host.environment, "ip": host.ip} for host in machines}
    (folder / "machines.json").write_text(json.dumps(known))
    names = " ".join(host.name for host in machines)
    for name, code in {
        "scontrol": f"#!/bin/sh\nprintf '%s\\n' {names}\n",
        "srun": f"""#!{sys.executable}
import json, os, sys
words = sys.argv[1:]
options = [word for word in words if word.startswith("--") and words.index(word) < 5]
while words[0].startswith("--"):
    words.pop(0)
name = next(word for word in options if word.startswith("--nodelist=")).partition("=")[2]
host = json.load(open({str(folder / "machines.json")!r}))[name]
if words[0] == "hostname":
    print(host["ip"])
else:
    own = os.environ | host["environment"] | {{"RAY_AUTH_TOKEN": os.environ["RAY_AUTH_TOKEN"]}}
    os.execvpe((host["prefix"] + words)[0], host["prefix"] + words, own)
""",
    }.items():
        (folder / name).write_text(code)
        (folder / name).chmod(stat.S_IRWXU)
    return folder


def test_the_slurm_script_searches_on_all_machines(tmp_path: Path) -> None:
    search = BrokenSearch(tmp_path)
    with hosts(2, tmp_path) as machines:
        commands = a_slurm(tmp_path / "slurm", machines)
        environment = os.environ | {
            "PATH": f"{commands}:{os.environ['PATH']}", "PYTHON": sys.executable, "PYTHONPATH": f"{ROOT}:{tmp_path}",
            "SLURM_JOB_NODELIST": "thaw-[1-2]", "SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "1",
            "EPOCHS_LOG": str(tmp_path / "epochs.log"), "EPOCH_SECONDS": "0.5", "SESSION": "0",
        }  # fmt: skip
        (tmp_path / "scripts").symlink_to(ROOT / "scripts")
        done = subprocess.run(
            ["bash", DEPLOY / "slurm.sh", "--space", "counted:Counted", "--data", "digits", "--image-size", "8",
             "--trials", "4", "--max-epochs", "2", "--finalists", "0", "--name", "one"],
            cwd=tmp_path, env=environment, text=True, capture_output=True, timeout=300,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Cluster: 2 machines, 2 CPUs, 0 GPUs" in done.stdout
    trials = search.trials()
    assert len(trials) == 4
    assert all(trial.state in (TrialState.DONE, TrialState.STOPPED) for trial in trials)
    assert read_study(search.paths).options["address"].endswith(":20007")
