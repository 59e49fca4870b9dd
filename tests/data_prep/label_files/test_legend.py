import pytest

from data_prep.label_files.legend import parse_legend


def test_a_legend_is_read_from_the_command_line_and_from_a_table() -> None:
    assert parse_legend(" vacancy=#FF0000, Mo on W = #00ff00") == {"vacancy": "#ff0000", "Mo on W": "#00ff00"}
    assert parse_legend("vacancy=1,dopant=2") == {"vacancy": 1, "dopant": 2}
    assert parse_legend({"vacancy": 1, "background": 0}) == {"vacancy": 1, "background": 0}
    assert parse_legend({}) == {}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("vacancy", "'vacancy = ' is no name with a colour"),
        ("vacancy=red", "'vacancy = red' is no name with a colour"),
        ("=#ff0000", "' = #ff0000' is no name"),
        ("vacancy=#ff00", "no name with a colour"),
        ("vacancy=0", "an index from 1 to 65535"),
        ({"vacancy": -1}, "an index from 1"),
        ({"vacancy": 2.5}, "an index from 1"),
        ({"vacancy": True}, "an index from 1"),
        ("a=1,b=#ff0000", "mixes colours and class indices"),
        ("a=1,b=1", "twice"),
        ("a=1,a=2", "twice"),
        (["a"], "is not a table of names"),
        ("", "is no name"),
    ],
)
def test_a_legend_that_cannot_be_is_refused(given: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_legend(given)
