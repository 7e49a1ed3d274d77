import pytest
import torch

from innerloop.engine.free import free_bytes, host_bytes

KIB = 1024
UNLIMITED_FIRST = str(2**63 - 4096)


def host(root, available=1000, membership="", **groups):
    """What Linux tells: kibibytes available, the groups of this process, and files of the groups by their place."""
    proc, held = root / "proc", root / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text(f"MemTotal:  9000 kB\nMemAvailable:  {available} kB\nHugePages_Total:  0\n")
    (proc / "self" / "cgroup").write_text(membership)
    for place, files in groups.items():
        folder = held / place.replace("__", "/")
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(f"{text}\n")
    return proc, held


def second(limit, used, spare=0):
    return {"memory.max": limit, "memory.current": used, "memory.stat": f"anon 5\ninactive_file {spare}"}


def first(limit, used, spare=0):
    return {
        "memory.limit_in_bytes": limit,
        "memory.usage_in_bytes": used,
        "memory.stat": f"inactive_file 1\ntotal_inactive_file {spare}",
    }


def test_without_control_groups_it_is_what_the_system_calls_available(tmp_path):
    assert host_bytes(*host(tmp_path)) == 1000 * KIB


@pytest.mark.parametrize(
    ("membership", "groups", "left"),
    [
        ("0::/a/b\n", {"a__b": second(500, 400, spare=50)}, 150),
        ("0::/a/b\n", {"a__b": second("max", 400), "a": second(450, 400)}, 50),
        ("0::/a/b\n", {"a__b": second(500, 400), "a": second("max", 400)}, 100),
        ("0::/elsewhere/outside\n", {".": second(500, 400)}, 100),
        ("0::/../..\n", {".": second(500, 400)}, 100),
        ("0::/a\n", {"unified__a": second(500, 400)}, 100),
        ("0::/a\n", {"a": second(500, 600)}, 0),
        ("0::/a\n", {"a": second("max", 600)}, 1000 * KIB),
        ("0::/a\n", {"a": second(2000 * KIB, 600)}, 1000 * KIB),
        ("4:memory:/a/b\n3:cpu:/c\n", {"memory__a__b": first(500, 400, spare=50)}, 150),
        ("4:cpu,memory:/a:1/b\n", {"memory__a:1__b": first(UNLIMITED_FIRST, 9), "memory__a:1": first(500, 400)}, 100),
        ("4:memory:/a\n", {"memory__a": first(UNLIMITED_FIRST, 400)}, 1000 * KIB),
        ("3:cpu:/a\n", {"memory__a": first(500, 400)}, 1000 * KIB),
    ],
)
def test_a_control_group_or_one_around_it_may_leave_less(tmp_path, membership, groups, left):
    assert host_bytes(*host(tmp_path, membership=membership, **groups)) == left


def test_where_the_system_does_not_say_nothing_is_known(tmp_path):
    assert host_bytes(tmp_path / "proc", tmp_path / "cgroup") is None
    assert free_bytes(torch.device("meta")) is None


def test_this_machine_says_a_number_or_nothing():
    free = free_bytes(torch.device("cpu"))
    assert free is None or free > 0
