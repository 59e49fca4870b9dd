"""What a run says of the balance of classes."""

from data_prep.balance import balance_lines


def part(**classes: tuple[int, int]) -> dict[str, dict[str, int]]:
    return {name: {"pixels": pixels, "objects": objects} for name, (pixels, objects) in classes.items()}


def test_each_region_has_a_line_and_each_lack_a_warning() -> None:
    train = part(background=(940, 0), vacancy=(60, 5), dopant=(0, 0), hole=(0, 0))
    validation = part(background=(97, 0), vacancy=(0, 0), dopant=(3, 1), hole=(0, 0))
    lines = balance_lines({"train": train, "validation": validation})
    assert lines[0] == "training region: 5 vacancy (6 % of pixels), 0 dopant (0 % of pixels), 0 hole (0 % of pixels)"
    assert lines[1] == "validation region: 0 vacancy (0 % of pixels), 1 dopant (3 % of pixels), 0 hole (0 % of pixels)"
    assert [line.split(",")[0] for line in lines[2:]] == [
        "warning: no dopant in the training region",
        "warning: no vacancy in the validation region",
    ]


def test_where_nothing_lacks_nothing_is_warned_of() -> None:
    held = part(background=(90, 0), vacancy=(10, 1))
    assert len(balance_lines({"train": held, "validation": held})) == 2
