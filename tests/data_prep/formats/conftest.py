"""Writers of every format, each from its published layout or with a library that is not the reader."""

import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

Writer = Callable[[Path], None]
STACK = np.random.default_rng(1).integers(100, 4000, (3, 70, 90), dtype=np.uint16)
PIXEL_NM = 0.04
INTERVAL_S = 0.5
MARK = b"-- the pixels of a large movie --"  # stands for those of a broadcast array
PER_NM = (1 / PIXEL_NM, 1 / PIXEL_NM)


def imagej(path: Path, unit: str = "nm", factor: float = 1, **options: object) -> None:
    axes = {"axes": "TYX", "unit": unit, "finterval": INTERVAL_S}
    resolution = (factor / PIXEL_NM, factor / PIXEL_NM)
    tifffile.imwrite(path, STACK, imagej=True, resolution=resolution, metadata=axes, **options)


def imagej_in_one_page(path: Path) -> None:
    imagej(path, truncate=True)


def imagej_in_microns(path: Path) -> None:
    imagej(path, r"\u00B5m", 1e3)  # as ImageJ writes the micro sign


def ome(path: Path, **options: object) -> None:
    scale = {"PhysicalSizeX": PIXEL_NM * 10, "PhysicalSizeXUnit": "Å", "PhysicalSizeY": PIXEL_NM}
    scale |= {"PhysicalSizeYUnit": "nm", "TimeIncrement": INTERVAL_S * 1e3, "TimeIncrementUnit": "ms"}
    tifffile.imwrite(path, STACK, ome=True, metadata={"axes": "TYX", **scale}, **options)


def plain_tiff(path: Path, **options: object) -> None:
    per_cm = {"resolution": (1e7 / PIXEL_NM, 1e7 / PIXEL_NM), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, STACK, photometric="minisblack", metadata=None, **per_cm, **options)


def bigtiff(path: Path) -> None:
    plain_tiff(path, bigtiff=True)


def big_endian_tiff(path: Path) -> None:
    plain_tiff(path, byteorder=">")


def compressed_tiff(path: Path) -> None:
    plain_tiff(path, compression="zlib", tile=(32, 32))


def lzw_tiff(path: Path) -> None:
    pages = [Image.fromarray(frame) for frame in STACK]
    per_inch = 2.54e7 / PIXEL_NM
    pages[0].save(path, save_all=True, append_images=pages[1:], compression="tiff_lzw", dpi=(per_inch, per_inch))


def frame_by_frame_tiff(path: Path) -> None:
    with tifffile.TiffWriter(path) as out:
        for frame in STACK:
            out.write(frame, resolution=(1e7 / PIXEL_NM, 1e7 / PIXEL_NM), resolutionunit="CENTIMETER")


def hdf5(path: Path) -> None:
    with h5py.File(path, "w") as out:
        out["scan/frames"] = STACK
        out["scan/frames"].attrs.update(pixel_size_nm=PIXEL_NM, frame_interval_s=INTERVAL_S)


def fiji_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as out:
        out["t0/channel0"] = STACK.astype(">i4")
        out["t0/channel0"].attrs["element_size_um"] = [1.0, PIXEL_NM / 1e3, PIXEL_NM / 1e3]


def nexus(path: Path) -> None:
    with h5py.File(path, "w") as out:
        entry = out.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        out["entry/instrument/detector/raw"] = STACK
        data = entry.create_group("data")
        data.attrs.update(NX_class="NXdata", signal="counts", axes=["time", "y", "x"])
        data["counts"] = out["entry/instrument/detector/raw"]
        vectors = {"time": (3, INTERVAL_S * 1e3, "ms"), "y": (70, PIXEL_NM * 10, "angstrom"), "x": (90, PIXEL_NM, "nm")}
        for name, (size, step, unit) in vectors.items():
            data[name] = 5 + step * np.arange(size)
            data[name].attrs["units"] = unit


def nexus_of_old(path: Path) -> None:
    with h5py.File(path, "w") as out:
        data = out.create_group("run/data")
        data.attrs["NX_class"] = "NXdata"
        data["counts"] = STACK
        data["counts"].attrs.update(signal=1, axes="frame:y:x")
        for name, size in (("y", 70), ("x", 90)):
            data[name] = PIXEL_NM * np.arange(size)
            data[name].attrs["units"] = "nm"


def ncem(path: Path) -> None:
    """Berkeley's EMD 0.2, (time, y, x)."""
    with h5py.File(path, "w") as out:
        out.attrs.update(version_major=0, version_minor=2)
        group = out.create_group("data/movie")
        group.attrs["emd_group_type"] = 1
        group["data"] = STACK
        vectors = [("time", 3, INTERVAL_S, "[s]"), ("y", 70, PIXEL_NM, "[n_m]"), ("x", 90, PIXEL_NM, "[n_m]")]
        for place, (name, size, step, unit) in enumerate(vectors, 1):
            group[f"dim{place}"] = step * np.arange(size)
            group[f"dim{place}"].attrs.update(name=name, units=unit)


def rsciio_signal() -> dict[str, object]:
    steps = [("time", 3, INTERVAL_S, "s", True), ("y", 70, PIXEL_NM, "nm", False), ("x", 90, PIXEL_NM, "nm", False)]
    axes = [
        {"_type": "UniformDataAxis", "name": name, "size": size, "scale": step, "offset": 0.0, "units": unit}
        | {"navigate": navigate, "index_in_array": place, "is_binned": False}
        for place, (name, size, step, unit, navigate) in enumerate(steps)
    ]
    metadata = {"General": {"title": "HAADF"}, "Signal": {"signal_type": ""}, "_HyperSpy": {}}
    empty: dict[str, object] = {"original_metadata": {}, "tmp_parameters": {}, "learning_results": {}, "models": {}}
    attributes = {"_lazy": False, "ragged": False}
    return {"data": STACK, "axes": axes, "metadata": metadata, "attributes": attributes, "package_info": {}, **empty}


def hyperspy(path: Path) -> None:
    from rsciio.hspy import file_writer

    file_writer(str(path), rsciio_signal())


def ncem_by_rsciio(path: Path) -> None:
    from rsciio.emd import file_writer

    file_writer(str(path), rsciio_signal())


def nexus_by_rsciio(path: Path) -> None:
    from rsciio.nexus import file_writer

    file_writer(str(path), [rsciio_signal()])


def velox(path: Path, detectors: tuple[str, ...] = ("HAADF",), data: NDArray[np.uint16] = STACK) -> None:
    """Thermo Fisher's EMD: images of (y, x, frame), metadata as a column of JSON bytes a frame."""
    with h5py.File(path, "w") as out:
        out["Version"] = np.array([json.dumps({"format": "Velox", "version": "10"}).encode()])
        for place, detector in enumerate(detectors):
            tags = {
                "BinaryResult": {
                    "DetectorIndex": str(place),
                    "PixelSize": {"width": str(PIXEL_NM * 1e-9), "height": str(PIXEL_NM * 1e-9)},
                    "PixelUnitX": "m",
                    "PixelUnitY": "m",
                },
                "Detectors": {f"Detector-{place}": {"DetectorName": detector}},
                "Acquisition": {"AcquisitionStartDatetime": {"DateTime": "1600000000"}},
                "Scan": {"FrameTime": str(INTERVAL_S)},
            }
            text = np.frombuffer(json.dumps(tags).encode().ljust(2000, b"\0"), np.uint8)
            group = out.create_group(f"Data/Image/{place:032x}")
            frames = np.moveaxis(data + place, 0, -1)
            group.create_dataset("Data", data=frames, chunks=(*frames.shape[:2], 1))
            group["Metadata"] = np.repeat(text[:, None], len(data), axis=1)


def nion_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as out:
        out["data"] = STACK
        out["data"].attrs["properties"] = json.dumps({"data_sources": [{"dimensional_calibrations": nion_scale()}]})


def nion_scale() -> list[dict[str, object]]:
    pixel = {"offset": -1.0, "scale": PIXEL_NM, "units": "nm"}
    return [{"offset": 0.0, "scale": INTERVAL_S, "units": "s"}, pixel, pixel]


def ndata(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as out:
        with out.open("data.npy", "w") as member:
            np.lib.format.write_array(member, STACK)
        out.writestr("metadata.json", json.dumps({"dimensional_calibrations": nion_scale()}))


def mrc(path: Path, order: str = "<", data: NDArray[np.uint16] = STACK) -> None:
    sections, rows, columns = data.shape
    header = np.zeros(256, f"{order}i4")
    header[:4] = columns, rows, sections, 6  # uint16
    header[7:10] = columns, rows, sections
    cell = np.array([columns, rows, sections]) * PIXEL_NM * 10  # angstrom
    header[10:13] = cell.astype(f"{order}f4").view(f"{order}i4")
    header[16:19] = 1, 2, 3
    raw = bytearray(header.tobytes())
    raw[208:216] = b"MAP " + (b"\x44\x44\0\0" if order == "<" else b"\x11\x11\0\0")
    path.write_bytes(bytes(raw) + data.astype(f"{order}u2").tobytes())


def big_endian_mrc(path: Path) -> None:
    mrc(path, ">")


def ser(path: Path) -> None:
    """TIA's series, version 0x220 with 8-byte offsets; rows from the bottom up."""
    images = len(STACK)
    unit = b"s"
    dimension = struct.pack("<IddI", images, 0, INTERVAL_S, 0) + struct.pack("<I", 0) + struct.pack("<I", 1) + unit
    head = struct.pack("<HHHIIII", 0x4949, 0x0197, 0x0220, 0x4122, 0x4152, images, images)
    array = len(head) + 12 + len(dimension)
    first = array + 16 * images
    step = PIXEL_NM * 1e-9
    elements = [
        struct.pack("<ddiddiHII", 0, step, 0, 0, step, 0, 2, frame.shape[1], frame.shape[0]) + frame[::-1].tobytes()
        for frame in STACK
    ]
    starts = [first + place * len(elements[0]) for place in range(images)]
    tags = [first + images * len(elements[0]) + 8 * place for place in range(images)]
    offsets = struct.pack(f"<{2 * images}Q", *starts, *tags)
    times = struct.pack("<HHI", 0x4152, 0, 1_600_000_000) * images
    path.write_bytes(head + struct.pack("<QI", array, 1) + dimension + offsets + b"".join(elements) + times)


def dm4(path: Path, titles: tuple[str, ...] = ("HAADF",), version: int = 4, data: NDArray[np.uint16] = STACK) -> None:
    """Gatan's DM3 or DM4: a tree of tags, big-endian around little-endian values."""
    images = [(None, _dm_image(title, data + place if place else data, version)) for place, title in enumerate(titles)]
    body = _dm_group([("ImageList", _dm_group(images, version, inner=True))], version)
    path.write_bytes(struct.pack(">i", version) + _dm_word(len(body), version) + struct.pack(">i", 1) + body)


def _dm_image(title: str, data: NDArray[np.uint16], version: int) -> bytes:
    def group(*tags: tuple[str | None, bytes]) -> bytes:
        return _dm_group(list(tags), version, inner=True)

    def number(code: int, layout: str, value: float) -> bytes:
        return _dm_data([code], struct.pack(f"<{layout}", value), version)

    def text(value: str) -> bytes:
        return _dm_data([20, 4, len(value)], value.encode("utf-16-le"), version)

    steps = [(PIXEL_NM * 1e3, "pm"), (PIXEL_NM, "nm"), (INTERVAL_S, "s")][: data.ndim]
    dimensions = [
        (None, group(("Origin", number(6, "f", 0)), ("Scale", number(6, "f", step)), ("Units", text(unit))))
        for step, unit in steps
    ]
    brightness = group(("Origin", number(6, "f", 0)), ("Scale", number(6, "f", 1)), ("Units", text("")))
    calibrations = group(("Brightness", brightness), ("Dimension", group(*dimensions)))
    stored = MARK if data.strides[0] == 0 else data.astype("<u2").tobytes()
    pixels = _dm_data([20, 4, data.size], stored, version)
    sizes = [(None, number(5, "I", size)) for size in data.shape[::-1]]
    image = group(
        ("Calibrations", calibrations),
        ("Data", pixels),
        ("DataType", number(5, "I", 10)),
        ("Dimensions", group(*sizes)),
        ("PixelDepth", number(5, "I", 2)),
    )
    return group(("ImageData", image), ("ImageTags", group()), ("Name", text(title)))


def _dm_word(value: int, version: int) -> bytes:
    return struct.pack(">q" if version == 4 else ">i", value)


def _dm_group(tags: list[tuple[str | None, bytes]], version: int, inner: bool = False) -> bytes:  # noqa: FBT001, FBT002
    body = b"".join(_dm_tag(name, content) for name, content in tags)
    size = _dm_word(len(body), version) if inner and version == 4 else b""
    return b"\1\0" + size + _dm_word(len(tags), version) + body


def _dm_tag(name: str | None, content: bytes) -> bytes:
    data = content.startswith(b"%%%%") or content[8:12] == b"%%%%"
    label = (name or "").encode()
    return struct.pack(">BH", 21 if data else 20, len(label)) + label + content


def _dm_data(info: list[int], value: bytes, version: int) -> bytes:
    rest = b"%%%%" + b"".join(_dm_word(one, version) for one in [len(info), *info]) + value
    return (_dm_word(len(rest), version) if version == 4 else b"") + rest


def dm3(path: Path) -> None:
    dm4(path, version=3)


def npy(path: Path) -> None:
    np.save(path, STACK)


def fortran_npy(path: Path) -> None:
    np.save(path, np.asfortranarray(STACK.astype(">f8")))


def folder(path: Path) -> None:
    path.mkdir()
    for index, frame in zip((1, 2, 10), STACK, strict=True):
        Image.fromarray(frame).save(path / f"frame{index}.png")


def dm4_folder(path: Path) -> None:
    path.mkdir()
    for index, frame in zip((1, 2, 10), STACK, strict=True):
        dm4(path / f"frame{index}.dm4", data=frame)


SCALED = {
    "imagej.tif": imagej,
    "one_page.TIFF": imagej_in_one_page,
    "microns.tif": imagej_in_microns,
    "movie.ome.tif": ome,
    "frame.h5": hdf5,
    "frame.hdf5": hdf5,
    "nexus.nxs": nexus,
    "nexus.h5": nexus,
    "ncem.emd": ncem,
    "velox.emd": velox,
    "signal.hspy": hyperspy,
    "signal.hdf5": hyperspy,
    "nion.h5": nion_hdf5,
    "nion.ndata": ndata,
    "series.ser": ser,
    "stack.dm3": dm3,
    "stack.dm4": dm4,
    "hyperspy.emd": ncem_by_rsciio,
    "hyperspy.nxs": nexus_by_rsciio,
}
WITHOUT_INTERVAL = {
    "plain.tif": plain_tiff,
    "big.tif": bigtiff,
    "big.btf": bigtiff,
    "big_endian.tif": big_endian_tiff,
    "tiles.tif": compressed_tiff,
    "lzw.tif": lzw_tiff,
    "frames.tif": frame_by_frame_tiff,
    "fiji.h5": fiji_hdf5,
    "old.nxs": nexus_of_old,
    "movie.mrc": mrc,
    "big_endian.mrc": big_endian_mrc,
    "dm4s": dm4_folder,
}
WITHOUT_SCALE = {"a.npy": npy, "fortran.npy": fortran_npy, "pictures": folder}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `scaled`, `without_interval`, `without_scale` or `any_format` runs once a format."""
    groups = {"scaled": SCALED, "without_interval": WITHOUT_INTERVAL, "without_scale": WITHOUT_SCALE}
    groups["any_format"] = SCALED | WITHOUT_INTERVAL | WITHOUT_SCALE
    for name, formats in groups.items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, list(formats.items()), ids=list(formats))


@pytest.fixture
def truth() -> SimpleNamespace:
    return SimpleNamespace(stack=STACK, pixel_nm=PIXEL_NM, interval_s=INTERVAL_S)


@pytest.fixture
def writers() -> dict[str, Callable[..., None]]:
    functions = (rsciio_signal, imagej, ome, plain_tiff, hdf5, nexus, ncem, velox, mrc, ser, dm4, npy, ndata, hyperspy)
    return {function.__name__: function for function in functions}
