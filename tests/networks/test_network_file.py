"""A network that somebody wrote by hand: what it says, and in one line what is wrong with it."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_prep.errors import InputError
from networks import space
from networks.genes import FIELDS, TRAINING, numeric_genes, unpack
from networks.genome import decode, encode
from networks.hyperparameters import Hyperparameters, hyperparameter
from networks.network_file import PLAIN, notes_of_network, read_network
from networks.space import Convolution, FullyConnected, Limits, NetworkSpec, Pool, Training, Upsample

ROOT = Path(__file__).resolve().parents[2]
CONVOLUTION = {"kind": "convolution", "kernels": 16, "kernel_size": 3}
PLAIN_TRAINING = {
    "learning_rate": 0.0033, "weight_decay": 1e-4, "defect_weight": 2, "optimiser": "adamw", "schedule": "cosine",
    "momentum": 0.9, "batch_size": 8, "loss": "dice", "augmentation": 1.25,
}  # fmt: skip


@pytest.fixture
def network(tmp_path):
    """Writes a network file of layers, with all of the training fixed but what is given."""

    def write(*layers, **training):
        path = tmp_path / "net.json"
        path.write_text(json.dumps({"layers": layers, "training": PLAIN_TRAINING | training}))
        return path

    return write


def refused(path, words):
    with pytest.raises(InputError) as said:
        read_network(path)
    assert str(said.value).startswith(f"{path}: ")
    assert "\n" not in str(said.value)
    assert len(str(said.value)) - len(str(path)) < 300
    assert words in str(said.value)


def lenet():
    """LeNet with its eleven hyperparameters, put together by hand."""

    def convolution(kernels):
        return Convolution(kernels, 5, 5, 1, 1, "zeros", "relu", "none", 0.0, skip=False)

    pool = Pool("max", 2, 2)
    training = Training("sgd", space.LEARNING_RATES[12], 1e-4, 0.9, 8, "cross_entropy", 2.0, 1.0, "one_cycle")
    spec = NetworkSpec((convolution(8), pool, convolution(16), pool, FullyConnected(32, "relu", 0.0)), training)
    base = encode(spec)
    known = {gene.name: (number, gene) for number, gene in numeric_genes(unpack(base)).items()}

    def of(*names, choices=None):
        return hyperparameter(names[0], [known[name][0] for name in names], known[names[0]][1], choices)

    sides = (1, 3, 5, 7)
    return Hyperparameters(
        base,
        (
            of("layer 1 kernels"),
            of("layer 1 kernel_height", "layer 1 kernel_width", choices=sides),
            of("layer 2 side"),
            of("layer 3 kernels"),
            of("layer 3 kernel_height", "layer 3 kernel_width", choices=sides),
            of("layer 4 side"),
            of("layer 5 neurons"),
            of("layer 5 dropout", choices=(0.0, 0.05, 0.1, 0.2)),
            of("learning_rate"),
            of("momentum"),
            of("weight_decay"),
        ),
    )


def test_the_example_is_lenet_with_eleven_hyperparameters():
    path, known = ROOT / "examples" / "lenet.json", lenet()
    read = read_network(path)
    assert len(read.vary) == 11
    assert [h.name for h in read.vary][:3] == ["layer 1 kernels", "layer 1 kernel_size", "layer 2 side"]
    sets = read.draw(50, np.random.default_rng(1))
    assert (sets == known.draw(50, np.random.default_rng(1))).all()
    assert [read.genome(one) for one in sets] == [known.genome(one) for one in sets]


def test_what_is_left_out_of_a_layer_is_plain_and_of_the_training_varies(tmp_path):
    path = tmp_path / "net.json"
    layers = [CONVOLUTION, {"kind": "average_pool"}, {"kind": "fully_connected", "neurons": 24}]
    path.write_text(json.dumps({"layers": layers, "training": {"loss": "focal"}}))
    read = read_network(path)
    varying = {h.name: h.choices for h in read.vary}
    assert varying == {name: tuple(dict.fromkeys(table)) for name, table, _ in TRAINING if name != "loss"}
    spec = decode(read.base, Limits())
    assert spec.layers == (
        Convolution(16, 3, 3, 1, 1, "zeros", "relu", "batch", 0.0, skip=False),
        Pool("average", 2, 2),
        FullyConnected(24, "relu", 0.0),
    )
    assert spec.training.loss == "focal"


def test_every_setting_of_every_kind_can_be_fixed_listed_and_left_open(network):
    kinds = [kind for kind in FIELDS if kind not in ("empty", "upsample")]
    for kind in kinds:
        for name, (_, table) in FIELDS[kind].items():
            entries = list(dict.fromkeys(table))
            others = {other: FIELDS[kind][other][1][0] for other in FIELDS[kind] if other not in PLAIN[kind]}
            others |= {"side": 3} if kind.endswith("pool") else {}  # with any stride
            for said, choices in ((entries[-2:], entries[-2:]), ("any", entries)):
                layer = {"kind": kind, **others, name: said}
                read = read_network(network(CONVOLUTION, layer, {"kind": "fully_connected", "neurons": [8, 16]}))
                found = {h.name: list(h.choices) for h in read.vary}
                assert found == {f"layer 2 {name}": choices, "layer 3 neurons": [8, 16]}
                layer[name] = entries[0]
                read = read_network(network(CONVOLUTION, layer, {"kind": "fully_connected", "neurons": [8, 16]}))
                assert [h.name for h in read.vary] == ["layer 3 neurons"]


def test_a_kernel_size_is_one_hyperparameter_for_height_and_width(network):
    read = read_network(network({**CONVOLUTION, "kernel_size": [3, 7]}))
    shapes = {
        (layer.kernel_height, layer.kernel_width)
        for one in read.draw(20, np.random.default_rng(0))
        for layer in decode(read.genome(one), Limits()).layers
    }
    assert shapes == {(3, 3), (7, 7)}
    apart = {"kind": "convolution", "kernels": 16, "kernel_width": [3, 5], "kernel_height": 7}
    read = read_network(network(apart))
    assert [h.name for h in read.vary] == ["layer 1 kernel_width"]


def test_of_rates_the_nearest_is_taken_and_the_user_is_told(network):
    path = network(CONVOLUTION, learning_rate=[0.001, 0.01], weight_decay=0.0006, optimiser="adamw")
    assert read_network(path).vary[0].choices == (0.001, 0.011)
    # By the factor: 0.0006 is twice 0.0003, and 0.001 less than twice 0.0006.
    assert notes_of_network(path) == [
        f"{path}: training: learning_rate: 0.01 is taken as 0.011, the nearest that there is",
        f"{path}: training: weight_decay: 0.0006 is taken as 0.001, the nearest that there is",
    ]


def test_the_user_is_told_that_sgd_takes_ten_times_the_learning_rate(network):
    rate = space.LEARNING_RATES[5]
    path = network(CONVOLUTION, learning_rate=rate, momentum="any", optimiser="sgd")
    assert notes_of_network(path) == [f"{path}: training: learning_rate is AdamW's; SGD takes ten times as much"]
    assert notes_of_network(network(CONVOLUTION, learning_rate="any", momentum="any", optimiser="sgd")) == []


def test_sets_that_are_cut_down_are_told(network):
    dear = {"kind": "convolution", "kernels": [8, 64], "kernel_size": 5}
    path = network(dear, dear, dear)
    # 8 and 64 kernels: 64 to 64 by 5 x 5 are 102,400 multiply-adds, 8 to 64 12,800, which 64 to 8 after it doubles.
    wide = [(a, b, c) for a in (8, 64) for b in (8, 64) for c in (8, 64) if 25 * (a + a * b + b * c) > 15_000]
    (note,) = notes_of_network(path)
    said = int(note.split("about ")[1].split(" %")[0])
    assert abs(said / 100 - len(wide) / 8) < 0.1


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ({"kernals": 8}, "layer 2 (convolution): unknown key \"kernals\"; did you mean 'kernels'?"),
        ({"zzz": 8}, 'layer 2 (convolution): unknown key "zzz"; known are kind, kernel_size, kernels,'),
        ({"kernels": 12}, "layer 2 (convolution): kernels: 12 is not one of 8, 16, 24, 32, 48, 64"),
        ({"kernels": [8, 12]}, "kernels: 12 is not one of"),
        ({"kernels": []}, "kernels: the list is empty"),
        ({"kernels": "8"}, 'kernels: "8" is not one of'),
        ({"kernels": ["any"]}, 'kernels: "any" is not one of'),
        ({"kernels": [[8]]}, "kernels: [8.0] is not one of"),
        ({"kernels": {"from": 8}}, "kernels: {'from': 8.0} is not one of"),
        ({"kernels": None}, "kernels: null is not one of"),
        ({"kernels": 10**3000}, "kernels: inf is not one of"),
        ({"stride": True}, "stride: true is not one of 1, 2"),
        ({"skip": 1}, "skip: 1 is not one of false, true"),
        ({"activation": "ReLU"}, 'activation: "ReLU" is not one of "relu", "leaky_relu", "elu"'),
        ({"activation": "x" * 10_000}, 'activation: "xxx'),
        ({"kernel_height": 3}, "layer 2 (convolution): kernel_size and kernel_height set the same; give one of them"),
        ({"kind": "conv"}, 'layer 2: kind: "conv" is not one of convolution, max_pool, average_pool, fully_connected'),
        ({"kind": "empty"}, 'layer 2: kind: "empty" is not one of'),
        ({"kind": ["max_pool"]}, "layer 2: kind: ['max_pool'] is not one of"),
    ],
)
def test_a_layer_that_cannot_be_is_told_in_one_line(network, layer, words):
    refused(network(CONVOLUTION, {**CONVOLUTION, **layer}, momentum="any"), words)


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([{"kind": "convolution", "kernels": 8}], "layer 1 (convolution): kernel_size is missing; give a value"),
        ([{"kind": "convolution", "kernels": 8, "kernel_width": 3}], "kernel_height is missing"),
        ([{"kind": "convolution", "kernel_size": 3}], "kernels is missing"),
        ([{"kernels": 8}], "layer 1: kind: is missing; one of convolution"),
        (["convolution"], 'layer 1: must be an object, such as {"kind": "max_pool"}, not "convolution"'),
        ([], "'layers' must be a list of 1 to 8 layers; there are 0"),
        ([CONVOLUTION] * 9, "'layers' must be a list of 1 to 8 layers; there are 9"),
        ([{"kind": "fully_connected", "neurons": 8}], "has no convolution"),
        # What repair would change whatever the rest says.
        ([CONVOLUTION, *[{"kind": "max_pool"}] * 3], "layer 4 (max_pool): stride: 2 cannot be: the total stride is at"),
        ([CONVOLUTION, {"kind": "max_pool", "stride": 1}], "layer 2 (max_pool): side: 2 cannot be: a pool of side 2"),
        ([{**CONVOLUTION, "kernel_size": 1, "stride": 2}], "stride: 2 cannot be"),
        ([{**CONVOLUTION, "skip": True}], "layer 1 (convolution): skip: true cannot be: a skip link needs"),
        ([{**CONVOLUTION, "kernels": 64, "kernel_size": 7}] * 3, "cannot be: with it, every set is over 15,000 mult"),
    ],
)
def test_a_topology_that_cannot_be_is_told_in_one_line(network, layers, words):
    refused(network(*layers, momentum="any"), words)


@pytest.mark.parametrize(
    ("training", "words"),
    [
        ({"learning_rate": 0.1}, "training: learning_rate: 0.1 is not from 0.0003 to 0.03"),
        ({"learning_rate": "fast"}, 'learning_rate: "fast" is not from'),
        ({"learning_rate": True}, "learning_rate: true is not from"),
        ({"weight_decay": 0}, "weight_decay: 0 is not from 1e-06 to 0.1"),
        ({"weight_decay": [1e-4, 1e400]}, "has Infinity where a number should be"),
        ({"momentum": float("nan")}, "has NaN where a number should be"),
        ({"optimizer": "sgd"}, "training: unknown key \"optimizer\"; did you mean 'optimiser'?"),
        ({}, 'nothing in it varies; write a list of choices, or "any"'),
        ({"momentum": [0.9]}, "nothing in it varies"),
    ],
)
def test_a_training_that_cannot_be_is_told_in_one_line(network, training, words):
    refused(network(CONVOLUTION, **training), words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not JSON (Expecting value: line 1 column 1 (char 0)); evostem tune takes a network as JSON"),
        ('{"layers": [],}', "is not JSON"),
        ("[]", "the file: must be an object in braces, not []"),
        ("3", "must be an object in braces, not 3"),
        ("{}", "'layers' must be a list of 1 to 8 layers; there is none"),
        ('{"layers": {}}', "'layers' must be a list of 1 to 8 layers; there is none"),
        ('{"layer": []}', "the file: unknown key \"layer\"; did you mean 'layers'?"),
        ('{"layers": [], "layers": []}', 'has the key "layers" twice in one place'),
        ('{"layers": [{"kind": "convolution", "kernels": 8, "kernels": 16}]}', 'has the key "kernels" twice'),
        ('{"layers": [{"kind": "convolution", "kernels": 8, "kernel_size": 3}], "training": []}', "training: must be"),
        ("[" * 100_000, "is nested too deeply"),
        ('{"layers": [' + '{"kind": "convolution", "kernels": ' + "[" * 200 + "]" * 200 + "}]}", "kernel_size is miss"),
        ("9" * 10_000, "must be an object in braces, not inf"),
        ('{"comment": "für"}'.encode("latin-1"), "is not text in UTF-8"),
        (b"II*\x00" + bytes(range(256)), "evostem tune takes a network as JSON, then the movie"),
        (b"0" * (2 << 20), "is not a network's file"),
    ],
)
def test_a_file_that_is_no_network_is_told_in_one_line(tmp_path, text, words):
    path = tmp_path / "net.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    refused(path, words)


def test_a_file_that_is_not_there_or_a_folder_is_told_in_one_line(tmp_path):
    refused(tmp_path / "none.json", "no such file; evostem tune takes a network as JSON, then the movie")
    refused(tmp_path, "is not a network's file")


SCALARS = (
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5) | st.sampled_from([8, 16, 3, "any"])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2)
)
KEYS = (*FIELDS["convolution"], "kernel_size", "side", "neurons", "kind", *(name for name, _, _ in TRAINING))
CHANGES = st.lists(st.tuples(st.integers(0, 6), st.sampled_from(KEYS), VALUES), min_size=1, max_size=2)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(CHANGES)
def test_whatever_is_in_a_file_is_read_or_told_in_one_line(tmp_path, changes):
    plain = json.loads((ROOT / "examples" / "lenet.json").read_text())
    parts = (*plain["layers"], plain["training"])
    for place, key, value in changes:
        if place < len(parts):
            parts[place][key] = value
        else:
            plain["layers"].append(value)
    path = tmp_path / "net.json"
    path.write_text(json.dumps(plain))
    try:
        read = read_network(path)
    except InputError as error:
        said = str(error)
    else:
        said = f"{path}: {decode(read.genome(read.draw(1, np.random.default_rng(0))[0]), Limits())}"
    assert said.startswith(f"{path}: ")
    assert "\n" not in said


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
def test_what_editors_write_can_be_read(tmp_path, encoding):
    path = tmp_path / "net.json"
    path.write_text(json.dumps({"layers": [CONVOLUTION], "comment": "für area 11"}, ensure_ascii=False), encoding)
    assert len(read_network(path).vary) == len(TRAINING)


def test_what_only_some_sets_cannot_be_is_no_error(network):
    skipping = {**CONVOLUTION, "skip": True}
    read = read_network(network({**CONVOLUTION, "kernels": "any"}, skipping))
    assert [h.name for h in read.vary] == ["layer 1 kernels"]
    pool = {"kind": "max_pool", "side": 2, "stride": [1, 2]}
    assert len(read_network(network(CONVOLUTION, pool)).vary) == 1


def documented():
    """Of each kind and key the choices, and what it is if left out, as the documentation has them."""
    text = (ROOT / "docs" / "network_file.md").read_text()
    found, kinds = {}, []
    for line in text.split("--- |\n")[1].split("\n\n")[0].splitlines():
        kind, key, choices, left_out = (cell.strip() for cell in line.strip("|").split("|"))
        kinds = re.findall("`(.+?)`", kind) or kinds
        found |= {(one, name): (choices, left_out) for one in kinds for name in re.findall("`(.+?)`", key)}
    return found


def test_the_documentation_has_every_key_with_its_choices_and_default():
    tables = {(kind, name): table for kind, fields in FIELDS.items() for name, (_, table) in fields.items()}
    tables |= {("training", name): table for name, table, _ in TRAINING}
    known = documented()
    for (kind, name), table in tables.items():
        choices, left_out = known[kind, name]
        if name in ("learning_rate", "weight_decay"):
            assert [float(end) for end in choices.split(" to ")] == [min(table), max(table)]
        else:
            assert set(json.loads(f"[{choices}]")) == set(table)
        if left_out not in ("varies", "must be given"):
            assert json.loads(left_out) == PLAIN[kind][name]
        assert (left_out == "must be given") == (kind != "training" and name not in PLAIN.get(kind, {}))
        assert (left_out == "varies") == (kind == "training")
    assert {kind for kind, _ in known} - {"training", "upsample"} == FIELDS.keys() - {"empty", "upsample"}


def test_a_set_comes_back_from_plain_data(network):
    read = read_network(network({**CONVOLUTION, "kernel_size": [3, 7]}, momentum="any"))
    again = Hyperparameters.from_plain(json.loads(json.dumps(read.to_plain())))
    sets = read.draw(9, np.random.default_rng(0))
    assert [again.genome(one) for one in sets] == [read.genome(one) for one in sets]


def test_the_example_is_a_u_net_of_two_levels():
    read = read_network(ROOT / "examples" / "unet.json")
    assert notes_of_network(ROOT / "examples" / "unet.json") == []
    spec = decode(read.base, Limits())
    assert [getattr(layer, "stride", None) for layer in spec.layers] == [1, 2, 2, 1, None, 1, None, 1]
    assert [layer for layer in spec.layers if isinstance(layer, Upsample)] == [Upsample(join=True)] * 2
    assert spec.stride == 1


def test_a_way_up_needs_a_stride_to_undo(network):
    up, down = {"kind": "upsample", "join": True}, {"kind": "max_pool"}
    refused(
        network(CONVOLUTION, up, momentum="any"), "layer 2 (upsample): cannot be there: no stride before it is left"
    )
    refused(network(CONVOLUTION, down, up, up, momentum="any"), "layer 4 (upsample): cannot be there")
    assert len(read_network(network(CONVOLUTION, down, {**up, "join": "any"})).vary) == 1
    refused(network(CONVOLUTION, down, {"kind": "upsample"}, momentum="any"), "layer 3 (upsample): join is missing")
