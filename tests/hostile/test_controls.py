"""Every attack program escapes when nothing holds it: a suite of attacks that never work proves nothing.

Run in namespaces that are thrown away afterwards, because as root these programs change the machine.
"""

import pytest

from test_attack_processes import FILLS

# (program, arguments as the cell's paths); {ws} and {outside} are replaced.
ROWS = [
    ("read", "{ws}/secret", "mark-in-secret", "{ws}/scratch"),
    ("write", "{ws}/victim", "{ws}/scratch"),
    ("make", "{ws}/sub/.vscode", "{ws}/scratch"),
    ("move", "{ws}/holder", "{ws}/scratch"),
    ("race", "{ws}", "200"),
    ("namespace", "{ws}/scratch", "{ws}/secret", "mark-in-secret"),
    *[("calls", group) for group in ("mount", "namespace", "trace", "kernel", "key", "time", "handle", "personality",
                                     "machine")],
    ("socket",),
    ("ring", "{ws}/made"),
    ("setid", "{ws}/scratch"),
    ("kernel",),
    ("descriptors",),
    ("ipc", "0", "0", "0", "/none", "/dev/shm/none", "none", "1"),
    *[("fill", kind, "4", "{ws}/scratch", "0") for kind in FILLS],
    *[("bomb", kind, "3", "{ws}/scratch") for kind in
      ("processes", "threads", "memory", "descriptors", "file", "files", "pipes", "watches", "terminals", "locked")],
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(w for w in row[:2] if "{" not in w))
def test_the_attack_works_without_a_sandbox(cell, row):
    cell.watched = False
    cell.write("ws/secret", "mark-in-secret\n")
    cell.write("ws/victim", "victim\n")
    for directory in ("ws/scratch", "ws/ok", "ws/.git/hooks", "ws/holder/inner"):
        cell.mkdir(directory)
    name, *arguments = (word.format(ws=cell.ws, outside=cell.outside) for word in row)
    with open("/dev/null", "rb") as more:
        done = cell.bare(name, *arguments, pass_fds=[more.fileno()])
    assert done.code == 1 and done.out.startswith("ESCAPED: "), done


def test_another_process_is_reached_without_a_sandbox(cell):
    for kind in ("disturb", "reach"):
        done = cell.bare(["sh", "-c", f"sleep 30 & '{cell.attacks}/hostile-process' {kind}; code=$?; kill -9 $!; exit $code"])
        assert done.code == 1 and "ESCAPED: " in done.out, done


def test_a_unix_socket_is_reached_without_a_sandbox(cell):
    import hosts
    with hosts.UnixServer(str(cell.outside / "socket"), uid=cell.uid) as server:
        done = cell.bare("unix", server.name, cell.mkdir("ws/scratch"))
        assert done.code == 1 and server.touched(), done


def test_a_server_is_reached_without_a_sandbox(cell, server):
    done = cell.host(cell.attacks / "hostile-connect", "tcp", "127.0.0.1", str(server.port))
    assert done.code == 1 and server.connections >= 1, done
