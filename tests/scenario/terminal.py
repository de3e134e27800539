"""A terminal of the caller, played by a test."""

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time


class Terminal:
    """Runs a child with a pseudo-terminal as its controlling terminal and its standard descriptors."""

    def __init__(self, box, arguments, rows=30, columns=100, env=None, **more):
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        if box.plain:
            os.fchown(slave, box.user.pw_uid, -1)
        self.before = termios.tcgetattr(slave)
        self.text = ""
        more = {"stdin": slave, "stdout": slave, "stderr": slave, **more}

        def take_terminal():
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        self.child = box.popen(arguments, env=env, preexec_fn=take_terminal, pass_fds=[slave], **more)
        self.slave = slave

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.master, text.encode())

    def read_some(self, seconds):
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:  # every other end is closed
            return False
        self.text += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)

    def expect(self, wanted, seconds=60):
        """Reads until `wanted` was seen; what stands before and with it is consumed and given."""
        deadline = time.monotonic() + seconds
        while wanted not in self.text:
            left = deadline - time.monotonic()
            assert left > 0, f"{wanted!r} not seen in {self.text!r}"
            self.read_some(min(left, 0.2))
        at = self.text.index(wanted) + len(wanted)
        seen, self.text = self.text[:at], self.text[at:]
        return seen

    def wait(self, seconds=60):
        """The exit status; what the terminal still shows stays in `text`."""
        deadline = time.monotonic() + seconds
        while self.child.poll() is None:
            assert time.monotonic() < deadline, f"no end; seen {self.text!r}"
            self.read_some(0.05)
        while self.read_some(0.1):
            pass
        return self.child.returncode

    def modes(self):
        return termios.tcgetattr(self.slave)

    def close(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGKILL)
            self.child.wait()
        for fd in (self.master, self.slave):
            if fd is not None:
                os.close(fd)
