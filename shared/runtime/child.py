"""Child processes that do not outlive their parent, even when the parent is killed without a chance to clean up.

`bound` wraps a command so that the kernel sends the child a signal when its parent ends. This file then runs as a
script: it asks the kernel for the signal (`prctl(PR_SET_PDEATHSIG)`, which survives `exec`), checks that the parent
is still there, and becomes the command. No code runs between fork and exec in a threaded parent, as it would with
`preexec_fn`.

The kernel counts the *thread* that started the child as its parent: start children from a thread that lives as long
as the process, which is the main one.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def bound(
    command: Sequence[str], death_signal: signal.Signals = signal.SIGKILL, *, user: tuple[int, int] | None = None
) -> list[str]:
    """The command line that runs `command` as a child of this process which gets `death_signal` when we end.

    On systems other than Linux nothing ties the child to us. With `user` (uid, gid) it gives up being root first.
    """
    who = "" if user is None else f"{user[0]}:{user[1]}"
    if sys.platform != "linux" and not who:
        return list(command)
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(int(death_signal)), who, *command]


def _become(parent: int, death_signal: int, who: str, command: list[str]) -> None:
    if who:
        uid, gid = map(int, who.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":  # after the change of user, which forgets the signal
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:  # it ended before we asked
        return
    os.execvp(command[0], command)  # noqa: S606 - the command is the caller's own list, there is no shell


if __name__ == "__main__":
    _become(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
