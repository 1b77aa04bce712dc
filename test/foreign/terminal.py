"""Runs a command at a pseudo-terminal so many columns wide; what the terminal is sent goes to stdout as it comes. Ends as the command ends.

Arguments: columns, then the command. Standard library only.
"""

import fcntl
import os
import pty
import struct
import sys
import termios

columns, *command = sys.argv[1:]
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, int(columns), 0, 0))
    os.execvp(command[0], command)
while True:
    try:
        piece = os.read(terminal, 65536)
    except OSError:  # Linux says EIO when the last one has closed its side.
        break
    if not piece:
        break
    os.write(1, piece)
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
