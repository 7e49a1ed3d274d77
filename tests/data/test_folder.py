import io
import os

import numpy as np
import pytest
from PIL import Image

from innerloop.data.folder import fingerprint, items, sides
from innerloop.errors import ConfigError, DataError

HEADER = "filename,label,split\n"


def picture(value=0, kind="PNG") -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (12, 8), (value, value, value)).save(stream, kind)
    return stream.getvalue()


def filled(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(picture(kind="JPEG" if name.lower().endswith("jpg") else "PNG"))
    return root


def tabled(root, text, *names):
    filled(root, *names).mkdir(exist_ok=True)
    (root / "list.csv").write_text(text, encoding="utf-8")
    return root


def refused(root, message):
    for attempt in (items, sides):
        with pytest.raises(DataError, match=message) as caught:
            attempt(root)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("validation", ["val", "validation"])
def test_class_folders_are_listed_by_path(validation, tmp_path):
    names = ["train/cat/2.png", "train/cat/10.JPG", "train/ant/1.png", f"{validation}/dog/1.png", "test/eel/1.png"]
    root = filled(tmp_path, *names)
    (root / "train" / "cat" / "notes.txt").write_text("no image")
    (root / ".DS_Store").write_text("")
    listed = items(root, size=5, channels=1, crop="stretch")
    assert [item.name for item in listed] == sorted(names)
    assert [item.class_name for item in listed] == ["eel", "ant", "cat", "cat", "dog"]
    assert all(item.read().shape == (1, 5, 5) for item in listed)
    assert sides(root) == {"train": ["ant", "cat"], "validation": ["dog"], "test": ["eel"]}


def test_images_become_84_pixels_of_colour_unless_told_otherwise(tmp_path):
    image = items(filled(tmp_path, "train/a/1.png"))[0].read()
    assert (image.shape, image.dtype) == ((3, 84, 84), np.uint8)


def test_only_the_sides_that_exist_are_made(tmp_path):
    root = filled(tmp_path, "test/a/1.png", "test/b/1.png")
    (root / "train").mkdir()
    assert sides(root) == {"test": ["a", "b"]}


def test_a_table_names_class_and_side_of_every_image(tmp_path):
    text = "\ufeffsplit,filename,label,remark\nval,b.png,dög,x\ntrain,in/a.png,7,\ntest,./c.jpg,eel,\n"
    root = tabled(tmp_path, text, "in/a.png", "b.png", "c.jpg", "unlisted.png")
    listed = items(root, size=4)
    assert [(item.class_name, item.name) for item in listed] == [("dög", "b.png"), ("eel", "c.jpg"), ("7", "in/a.png")]
    assert listed[2].read().shape == (3, 4, 4)
    assert sides(root) == {"train": ["7"], "validation": ["dög"], "test": ["eel"]}


def test_a_class_in_two_splits_is_refused_by_name(tmp_path):
    refused(
        filled(tmp_path / "a", "train/cat/1.png", "train/dog/1.png", "val/cat/1.png"),
        r"every class of '.*' in one split, got 'cat' in train and validation; leave it in one",
    )
    rows = HEADER + "1.png,cat,train\n2.png,cat,test\n"
    refused(tabled(tmp_path / "b", rows, "1.png", "2.png"), r"got 'cat' in test and train")


def test_nested_class_folders_are_refused(tmp_path):
    refused(
        filled(tmp_path, "train/cat/big/1.png", "train/dog/1.png"),
        r"expected train/<class>/<image> .* got a folder inside a class folder: 'train/cat/big/1\.png'; put every",
    )


def test_an_image_without_a_class_folder_is_refused(tmp_path):
    refused(filled(tmp_path, "train/1.png"), r"got no class folder: 'train/1\.png'")


def test_an_image_outside_the_sides_is_refused(tmp_path):
    refused(filled(tmp_path / "a", "train/a/1.png", "tset/b/1.png"), r"got 'tset/b/1\.png'.*Did you mean 'test'")
    refused(filled(tmp_path / "b", "train/a/1.png", "1.png"), r"got '1\.png'; move it there or out of the folder")


def test_validation_under_both_names_is_refused(tmp_path):
    refused(filled(tmp_path, "val/a/1.png", "validation/b/1.png"), r"'validation' or 'val' .* got both; merge")


def test_a_class_folder_without_images_is_refused(tmp_path):
    root = filled(tmp_path, "train/a/1.png")
    (root / "train" / "b").mkdir()
    refused(root, r"images in every class folder, got none in '.*b'")


def test_images_of_another_format_are_refused(tmp_path):
    refused(
        filled(tmp_path, "train/a/1.png", "train/a/2.WebP"), r"PNG or JPEG images .* got 'train/a/2\.WebP'; convert"
    )


def test_a_folder_without_a_layout_or_without_images_is_refused(tmp_path):
    refused(filled(tmp_path / "a", "cat/1.png"), r"to have train/<class>/\*\.png .* or a \.csv .*; got neither")
    (tmp_path / "b" / "train").mkdir(parents=True)
    refused(tmp_path / "b", r"expected images under '.*', got none; add")
    refused(tabled(tmp_path / "c", HEADER), r"expected images under '.*', got none; add")


def test_no_folder_is_refused(tmp_path):
    refused(tmp_path / "nowhere", r"expected a folder at '.*nowhere', got none; set --data\.root")
    with pytest.raises(DataError, match=r"expected a folder at '.*nowhere'"):
        fingerprint(tmp_path / "nowhere")


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    filled(tmp_path / "elsewhere", "1.png")
    root = filled(tmp_path / "root", "train/a/1.png")
    (root / "train" / "a" / "2.png").symlink_to(tmp_path / "elsewhere" / "1.png")
    refused(root, r"got 'train/a/2\.png', which leads outside")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,label,split\na.png,x,train\n", r"header filename,label,split in '.*list\.csv', got 'file,label,split'"),
        ("", r"header filename,label,split in '.*', got ''"),
        (HEADER + "a.png,x\n", r"a filename, a label and a split in line 2 of '.*list\.csv', got an empty one"),
        (HEADER + "a.png,,train\n", r"a filename, a label and a split in line 2"),
        (HEADER + "a.png,x,trian\n", r"as the split in line 2 of .*, got 'trian'; .*Did you mean 'train'"),
        (HEADER + "b.png,x,train\n", r"an image under '.*' for line 2 .*, got 'b\.png', which is not there"),
        (HEADER + "../a.png,x,train\n", r"got '\.\./a\.png', which is not there"),
        (HEADER + "/etc/a.png,x,train\n", r"got '/etc/a\.png', which is not there"),
        (HEADER + "a.png,x,train\n./a.png,y,train\n", r"every image once in '.*', got 'a\.png' again; remove line 3"),
        (HEADER + "a.gif,x,train\n", r"PNG or JPEG images under '.*', got 'a\.gif'"),
        (
            HEADER + "a.png," + 200_000 * "x" + ",train\n",
            r"of ordinary length and quotes that close in '.*', got: field larger than",
        ),
        ("filename,label,split,label\na.png,x,train,y\n", r"every column of '.*list\.csv' once, got 'label' twice"),
    ],
)
def test_a_table_that_cannot_be_followed_is_refused(text, message, tmp_path):
    filled(tmp_path, "a.png")
    filled(tmp_path, "sub/a.gif.png")
    (tmp_path / "a.gif").write_bytes(b"GIF89a")
    refused(tabled(tmp_path, text), message)


def test_a_table_that_is_not_utf8_is_refused(tmp_path):
    (filled(tmp_path, "a.png") / "list.csv").write_bytes(HEADER.encode() + b"a.png,d\xf6g,train\n")
    refused(tmp_path, r"a CSV in UTF-8 at '.*list\.csv', got: .*save it again as CSV UTF-8")


def test_two_tables_are_refused(tmp_path):
    root = tabled(tmp_path, HEADER + "a.png,x,train\n", "a.png")
    (root / "more.csv").write_text(HEADER)
    refused(root, r"expected one \.csv under '.*', got 2 \('list\.csv' and 'more\.csv'")


def test_an_image_that_cannot_be_read_is_refused_by_path_when_it_is_read(tmp_path):
    root = filled(tmp_path, "train/a/1.png")
    (root / "train" / "a" / "1.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"at '.*train/a/1\.png', got an empty file"):
        items(root)[0].read()


def test_options_that_cannot_be_met_are_refused_before_an_image_is_read(tmp_path):
    root = filled(tmp_path, "train/a/1.png")
    with pytest.raises(ConfigError, match=r"unknown crop 'middle'"):
        items(root, crop="middle")
    with pytest.raises(ConfigError, match=r"got 2; set channels"):
        items(root, channels=2)


def test_the_fingerprint_changes_with_an_image_and_with_the_table(tmp_path):
    root = tabled(tmp_path, HEADER + "a.png,x,train\n", "a.png", "b.png")
    seen = {fingerprint(root)}
    assert fingerprint(root) in seen
    os.utime(root / "a.png", ns=(1, 1))
    seen.add(fingerprint(root))
    (root / "list.csv").write_text(HEADER + "a.png,x,train\nb.png,x,train\n")
    seen.add(fingerprint(root))
    (root / "b.png").unlink()
    seen.add(fingerprint(root))
    assert len(seen) == 4


def test_blank_columns_of_a_table_may_be_several(tmp_path):
    root = tabled(tmp_path, "filename,label,split,,\na.png,x,train,,\n", "a.png")
    assert sides(root) == {"train": ["x"]}


def test_a_table_that_is_a_pipe_or_without_end_is_refused_and_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "list.csv")
    with pytest.raises(DataError, match=r"expected a CSV in UTF-8 at .*a pipe or a device"):
        items(tmp_path)
    (tmp_path / "list.csv").unlink()
    with (tmp_path / "list.csv").open("wb") as table:
        table.truncate(2**40)
    with pytest.raises(DataError, match="bytes where at most 200,000,000 are read"):
        items(tmp_path)
