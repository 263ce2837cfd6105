"""Messages between the server and the process that writes samples."""

import socket
from threading import Thread

import pytest

from seqline.serving.row_messages import receive, send


def test_messages_arrive_one_by_one_and_whole_however_long_they_are() -> None:
    ours, theirs = socket.socketpair()
    messages = [{"answers": [("id", 0.5, None, "ä" * 1_000_000, "\ud800")]}, {"behind": True}]
    with ours, theirs:
        sending = Thread(target=lambda: [send(ours, message) for message in messages])
        sending.start()
        assert [receive(theirs), receive(theirs)] == messages
        sending.join()


@pytest.mark.parametrize("sent", [b"", b"\0\0", b"\0\0\0\4x"])
def test_the_end_of_the_other_process_ends_the_messages_also_in_the_middle_of_one(sent: bytes) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        ours.sendall(sent)
        ours.close()
        assert receive(theirs) is None
        with pytest.raises(BrokenPipeError):
            send(theirs, {})
