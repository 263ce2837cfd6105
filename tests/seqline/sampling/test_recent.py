"""The answers that a server remembers."""

from seqline.sampling.recent import FEEDBACK, Known, Recent


def test_the_oldest_answers_are_forgotten() -> None:
    recent = Recent(answers=2)
    for id_ in "abc":
        recent.add(id_, Known("1"))
    assert [recent.find(id_) for id_ in "abc"] == [None, Known("1"), Known("1")]


def test_the_oldest_answers_are_forgotten_with_their_texts() -> None:
    recent = Recent(characters=10)
    recent.add("a", Known("1", "12345", ""))
    recent.add("a", Known("1", "12345", ""))
    recent.add("b", Known("1", "12345", ""))
    assert recent.find("a")
    recent.add("c", Known("2", "1", "2"))
    assert [recent.find(id_) for id_ in "abc"] == [None, Known("1", "12345", ""), Known("2", "1", "2")]


def test_feedback_on_an_answer_is_counted() -> None:
    recent = Recent()
    recent.add("a", Known("1"))
    assert [recent.count_feedback("a") for _ in range(FEEDBACK + 1)] == [True] * FEEDBACK + [False]
    assert not recent.count_feedback("b")
    recent.add("a", Known("2"))
    assert recent.find("a") == Known("1")
    assert not recent.count_feedback("a")
