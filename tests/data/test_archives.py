import os
import stat
import zipfile

import pytest

from innerloop.data.archives import files, fingerprint
from innerloop.errors import DataError

CONTENT = {"b/2.png": b"two", "a/10.PNG": b"ten", "a/1.png": b"one", "a/words.txt": b"no"}


def zipped(path, content, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, each in content.items():
            archive.writestr(name, each)
    return path


def unpacked(path, content):
    for name, each in content.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(each)
    return path


def one_line(caught):
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("make", [zipped, unpacked])
def test_a_zip_and_a_folder_list_the_same_files_sorted(make, tmp_path):
    hidden = {"__MACOSX/a/._1.png": b"", "a/._1.png": b"", ".cache/x.png": b""}
    listed = files(make(tmp_path / "source", CONTENT | hidden), (".png",))
    assert [(name, read()) for name, read in listed] == [("a/1.png", b"one"), ("a/10.PNG", b"ten"), ("b/2.png", b"two")]


def test_a_zip_is_opened_once_to_read_and_nothing_is_extracted(tmp_path, monkeypatch):
    source = zipped(tmp_path / "x.zip", CONTENT)
    listed = files(source, (".png",))
    opened = []
    genuine = zipfile.ZipFile.__init__
    monkeypatch.setattr(
        zipfile.ZipFile,
        "__init__",
        lambda self, *args, **options: (opened.append(1), genuine(self, *args, **options))[0],
    )
    for _ in range(2):
        for _, read in listed:
            read()
    assert opened == [1]
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("keep", [0, 10, 200])
def test_a_half_downloaded_zip_is_refused(keep, tmp_path):
    whole = zipped(tmp_path / "x.zip", CONTENT).read_bytes()
    (tmp_path / "x.zip").write_bytes(whole[:keep])
    with pytest.raises(DataError, match=r"whole zip archive at '.*x\.zip', got a damaged or half-downloaded") as caught:
        files(tmp_path / "x.zip", (".png",))
    one_line(caught)


def test_a_zip_with_damaged_content_is_refused_when_that_is_read(tmp_path):
    source = zipped(tmp_path / "x.zip", CONTENT)
    source.write_bytes(source.read_bytes().replace(b"two", b"twu"))
    first, _, last = (read for _, read in files(source, (".png",)))
    assert first() == b"one"
    with pytest.raises(
        DataError, match=r"expected to read 'b/2\.png' in '.*', got: Bad CRC-32.*fetch it again"
    ) as caught:
        last()
    one_line(caught)


@pytest.mark.parametrize(
    "name", ["/etc/x.png", "../x.png", "a/../../x.png", "a\\..\\x.png", "C:\\x.png", "/x.txt", ".."]
)
def test_a_zip_with_a_path_that_leads_outside_is_refused(name, tmp_path):
    source = zipped(tmp_path / "x.zip", {"a.png": b"", name: b""})
    with pytest.raises(DataError, match=r"expected paths inside the archive .* which leads outside") as caught:
        files(source, (".png",))
    one_line(caught)


def test_two_dots_within_a_name_are_fine(tmp_path):
    assert files(zipped(tmp_path / "x.zip", {"a..b/c...png": b"x"}), (".png",))[0][1]() == b"x"


@pytest.mark.parametrize("make", [zipped, unpacked])
def test_a_file_above_the_cap_is_refused_by_its_declared_size(make, tmp_path):
    source = make(tmp_path / "source", {"a.png": b"12345", "b.txt": b"123456789"})
    assert len(files(source, (".png",), largest=5)) == 1
    with pytest.raises(DataError, match=r"at most 4 bytes at '.*a\.png', got 5") as caught:
        files(source, (".png",), largest=4)
    one_line(caught)


def test_a_zip_that_lies_about_a_size_is_not_read_beyond_it(tmp_path):
    source = zipped(tmp_path / "x.zip", {"a.png": bytes(1_000_000)}, compression=zipfile.ZIP_DEFLATED)
    true, lie = (number.to_bytes(4, "little") for number in (1_000_000, 10))
    source.write_bytes(source.read_bytes().replace(true, lie))
    ((_, read),) = files(source, (".png",), largest=100)
    with pytest.raises(DataError, match=r"expected to read 'a\.png'"):
        read()


def test_a_file_that_grew_after_it_was_listed_is_read_up_to_the_cap_alone(tmp_path):
    ((_, read),) = files(unpacked(tmp_path, {"a.png": b"1"}), (".png",), largest=4)
    (tmp_path / "a.png").write_bytes(b"123456789")
    with pytest.raises(DataError, match=r"at most 4 bytes at '.*a\.png', got 5 or more"):
        read()


def test_a_zip_method_that_cannot_be_read_up_to_a_cap_is_refused(tmp_path):
    source = zipped(tmp_path / "x.zip", {"a.png": b"1"}, compression=zipfile.ZIP_BZIP2)
    with pytest.raises(DataError, match=r"stored or deflated, got zip method 12"):
        files(source, (".png",))


def test_a_file_that_stands_twice_in_a_zip_is_refused(tmp_path):
    source = zipped(tmp_path / "x.zip", {"a.png": b"1", "b.png": b"2"})
    source.write_bytes(source.read_bytes().replace(b"b.png", b"a.png"))
    with pytest.raises(DataError, match=r"got 'a\.png' twice"):
        files(source, (".png",))


def test_links_inside_the_folder_are_read_and_links_out_of_it_refused(tmp_path):
    inside = unpacked(tmp_path / "inside", {"a.png": b"one"})
    (tmp_path / "secret.png").write_bytes(b"secret")
    (inside / "b.png").symlink_to("a.png")
    assert [read() for _, read in files(inside, (".png",))] == [b"one", b"one"]
    (tmp_path / "link").symlink_to(inside)  # the source itself may be one
    assert len(files(tmp_path / "link", (".png",))) == 2
    (inside / "c.png").symlink_to("../secret.png")
    with pytest.raises(DataError, match=r"got 'c\.png', which leads outside to '.*secret\.png'") as caught:
        files(inside, (".png",))
    one_line(caught)


def test_links_to_folders_are_refused_wherever_they_lead(tmp_path):
    inside = unpacked(tmp_path / "inside", {"a/1.png": b"one"})
    outside = unpacked(tmp_path / "outside", {"2.png": b"two"})
    (inside / "b").symlink_to(outside)
    with pytest.raises(DataError, match=r"got 'b', which leads outside"):
        files(inside, (".png",))
    (inside / "b").unlink()
    (inside / "b").symlink_to(inside)
    with pytest.raises(DataError, match=r"got 'b', a link to one; remove the link"):
        files(inside, (".png",))


def test_a_link_to_nothing_and_a_pipe_are_refused(tmp_path):
    (tmp_path / "a.png").symlink_to("nothing.png")
    with pytest.raises(DataError, match=r"expected to read '.*a\.png', got: .*No such file"):
        files(tmp_path, (".png",))
    (tmp_path / "a.png").unlink()
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"expected a file at '.*a\.png', got something else"):
        files(tmp_path, (".png",))


def test_a_name_that_is_not_utf8_is_refused(tmp_path):
    try:
        with open(os.fsencode(tmp_path) + b"/\xff.png", "wb"):
            pass
    except OSError:
        pytest.skip("this file system has UTF-8 names alone")
    with pytest.raises(DataError, match=r"a name that is not UTF-8") as caught:
        files(tmp_path, (".png",))
    str(caught.value).encode()


def test_a_file_without_permission_is_refused(tmp_path):
    ((_, read),) = files(unpacked(tmp_path, {"a.png": b"1"}), (".png",))
    (tmp_path / "a.png").chmod(0)
    if os.access(tmp_path / "a.png", os.R_OK):
        (tmp_path / "a.png").unlink()  # root may read anything but what is gone
    with pytest.raises(DataError, match=r"expected to read '.*a\.png', got: "):
        read()


def test_neither_a_zip_nor_a_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"expected a zip archive or a folder at '.*nowhere', got neither"):
        files(tmp_path / "nowhere", (".png",))


def test_the_fingerprint_of_a_zip_is_of_its_content(tmp_path):
    source = zipped(tmp_path / "x.zip", {"a.png": b"1"})
    before = fingerprint(source, (".png",))
    os.utime(source, ns=(1, 1))
    assert fingerprint(source, (".png",)) == before
    content = bytearray(source.read_bytes())
    content[30 + len("a.png")] ^= 1
    source.write_bytes(content)
    assert fingerprint(source, (".png",)) != before


def test_the_fingerprint_of_a_folder_is_of_paths_sizes_and_times(tmp_path):
    source = unpacked(tmp_path / "x", {"a.png": b"1", "b.txt": b"1"})
    seen = {fingerprint(source, (".png",))}
    os.utime(source / "b.txt", ns=(1, 1))
    assert fingerprint(source, (".png",)) in seen  # another kind of file is no part of it
    time = (source / "a.png").stat()[stat.ST_MTIME] * 10**9
    (source / "a.png").write_bytes(b"2")
    os.utime(source / "a.png", ns=(time + 1, time + 1))
    seen.add(fingerprint(source, (".png",)))
    (source / "a.png").write_bytes(b"22")
    os.utime(source / "a.png", ns=(time + 1, time + 1))
    seen.add(fingerprint(source, (".png",)))
    (source / "a.png").rename(source / "c.png")
    seen.add(fingerprint(source, (".png",)))
    assert len(seen) == 4


def test_files_of_one_size_and_time_that_change_places_change_the_fingerprint(tmp_path):
    source = unpacked(tmp_path / "x", {"a.png": b"1", "b.png": b"2"})
    for name in ("a.png", "b.png"):
        os.utime(source / name, ns=(1, 1))
    before = fingerprint(source, (".png",))
    (source / "a.png").rename(source / "c")
    (source / "b.png").rename(source / "a.png")
    (source / "c").rename(source / "b.png")
    assert (source / "a.png").stat().st_mtime_ns == (source / "b.png").stat().st_mtime_ns == 1
    assert fingerprint(source, (".png",)) != before


def test_a_link_in_a_circle_is_refused(tmp_path):
    (tmp_path / "a.png").symlink_to("b.png")
    (tmp_path / "b.png").symlink_to("a.png")
    with pytest.raises(DataError, match=r"got 'a\.png', which leads in a circle; remove it") as caught:
        files(tmp_path, (".png",))
    one_line(caught)
