import numpy as np

from seqline.components.bless.movement import BANDS, movement


def test_movement_counts_sentences_by_the_bands_of_champion_and_challenger() -> None:
    moved = movement(np.array([0.0, 19.9, 50.0, 100.0]), np.array([100.0, 20.0, 59.9, 0.0]))
    assert (moved[0][4], moved[0][1], moved[2][2], moved[4][0]) == (1, 1, 1, 1)
    assert sum(map(sum, moved)) == 4


def test_a_band_holds_its_lower_end_and_the_last_one_both() -> None:
    for score, band in ((-1e-9, 0), (0.0, 0), (20.0, 1), (39.9, 1), (40.0, 2), (60.0, 3), (80.0, 4), (100.0, 4)):
        moved = movement(np.array([score]), np.array([50.0]))
        assert moved == [[int((row, column) == (band, 2)) for column in range(5)] for row in range(5)]
    assert BANDS == ["0 to 20", "20 to 40", "40 to 60", "60 to 80", "80 to 100"]
