"""Histograms of tables, in bcc's form of output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import strftime
from typing import TYPE_CHECKING, Any

from stingless._sys.c_types import field_names
from stingless._sys.cvalues import is_record

stars_max = 40  # columns of a full bar
log2_index_max = 65  # slots: that of zero, and one for each bit of a 64-bit number
linear_index_max = 1025

_WIDE = 32  # from a slot above this on, log2 histograms have wider columns and shorter bars


def stars(val: int, val_max: int, width: int) -> str:
    """The bar of a count: `width` columns are `val_max`."""
    if val > val_max:
        return "*" * (width - 1) + "+"
    return "*" * int(width * val / val_max)


def _bounds(slot: int) -> tuple[int, int]:
    """The first and last number that are counted in a slot of a log2 histogram (from 1 on)."""
    return (1 << slot - 1 if slot > 1 else 0), (1 << slot) - 1


def _rows(vals: Sequence[int], first: int, strip_leading_zero: Any) -> range:
    last = max((slot for slot, count in enumerate(vals) if count > 0), default=-1)
    if strip_leading_zero:
        first = next((slot for slot in range(first, last + 1) if vals[slot]), last + 1)
    return range(first, last + 1)


def print_log2(vals: Sequence[int], val_type: Any, strip_leading_zero: Any = None) -> None:
    """Print counts by slot: slot n counts the numbers of n binary digits."""
    rows = _rows(vals, 1, strip_leading_zero)
    wide = rows.stop - 1 > _WIDE
    lead, label, number, width = (15, 29, 20, stars_max // 2) if wide else (5, 19, 10, stars_max)
    if rows.stop > 1:
        print(f"{'':{lead}}{val_type!s:<{label}} : count     distribution")
    most = max(vals, default=0)
    for slot in rows:
        low, high = _bounds(slot)
        bar = stars(vals[slot], most, width)
        print(f"{low:>{number}d} -> {high:<{number}d} : {int(vals[slot]):<8d} |{bar:<{width}}|")


def print_linear(vals: Sequence[int], val_type: Any, strip_leading_zero: Any = None) -> None:
    """Print counts by slot: slot n counts n."""
    rows = _rows(vals, 0, strip_leading_zero)
    if rows.stop > 0:
        print(f"     {val_type!s:<13} : count     distribution")
    most = max(vals, default=0)
    for slot in rows:
        bar = stars(vals[slot], most, stars_max)
        print(f"        {slot:<10d} : {int(vals[slot]):<8d} |{bar:<{stars_max}}|")


def print_json(vals: Sequence[int], val_type: Any, section_bucket: tuple[Any, Any] | None = None) -> None:
    """Print the counts of a log2 histogram as a dict."""
    data = []
    start = 0
    for slot in range(1, max((slot for slot, count in enumerate(vals) if count != 0), default=0) + 1):
        end = _bounds(slot)[1]
        data.append({"interval-start": start, "interval-end": end, "count": int(vals[slot])})
        start = end + 1
    histogram: dict[Any, Any] = {"ts": strftime("%Y-%m-%d %H:%M:%S"), "val_type": val_type, "data": data}
    if section_bucket:
        histogram[section_bucket[0]] = section_bucket[1]
    print(histogram)


class Histograms:
    """For tables whose keys are slots, or structs of a section (a bucket) and a slot."""

    if TYPE_CHECKING:
        Key: Any

        def items(self) -> Any: ...

    def print_log2_hist(
        self,
        val_type: Any = "value",
        section_header: Any = "Bucket ptr",
        section_print_fn: Callable[[Any], Any] | None = None,
        bucket_fn: Callable[[Any], Any] | None = None,
        strip_leading_zero: Any = None,
        bucket_sort_fn: Callable[[list[Any]], Sequence[Any]] | None = None,
    ) -> None:
        """Print a table of `bpf_log2l()` slots.  `val_type` heads the column of numbers.

        With a struct as key, its first member tells the section and its second the slot: each section is headed by
        `section_header` and its bucket, which `bucket_fn(member)` may make and `section_print_fn(bucket)` show;
        `bucket_sort_fn(buckets)` may order them.  `strip_leading_zero`: no empty rows at the beginning.
        """
        for heading, vals in self._sections(section_print_fn, bucket_fn, bucket_sort_fn, log2_index_max):
            _print_heading(section_header, heading)
            print_log2(vals, val_type, strip_leading_zero)

    def print_linear_hist(
        self,
        val_type: Any = "value",
        section_header: Any = "Bucket ptr",
        section_print_fn: Callable[[Any], Any] | None = None,
        bucket_fn: Callable[[Any], Any] | None = None,
        strip_leading_zero: Any = None,
        bucket_sort_fn: Callable[[list[Any]], Sequence[Any]] | None = None,
    ) -> None:
        """Print a table whose slots are the numbers themselves, 0 to 1024.  Arguments as of `print_log2_hist()`."""
        for heading, vals in self._sections(section_print_fn, bucket_fn, bucket_sort_fn, linear_index_max):
            _print_heading(section_header, heading)
            print_linear(vals, val_type, strip_leading_zero)

    def print_json_hist(
        self,
        val_type: Any = "value",
        section_header: Any = "Bucket ptr",
        section_print_fn: Callable[[Any], Any] | None = None,
        bucket_fn: Callable[[Any], Any] | None = None,
        bucket_sort_fn: Callable[[list[Any]], Sequence[Any]] | None = None,
    ) -> None:
        """Print a table of `bpf_log2l()` slots as dicts, one a section.  Arguments as of `print_log2_hist()`."""
        for heading, vals in self._sections(section_print_fn, bucket_fn, bucket_sort_fn, log2_index_max):
            if heading is None:
                print_json(vals, val_type)
            else:
                bucket, shown = heading
                print_json(vals, val_type, (section_header, bucket if shown is None else shown[0]))

    def _sections(
        self,
        show: Callable[[Any], Any] | None,
        bucket_fn: Callable[[Any], Any] | None,
        sort: Callable[[list[Any]], Sequence[Any]] | None,
        slots: int,
    ) -> Any:
        """(heading, counts) of each section.  A heading is (bucket, what `show` made of it or None), or None."""
        if not is_record(self.Key):
            vals = [0] * slots
            for key, leaf in self.items():
                _count(vals, key.value, leaf)
            yield None, vals
            return
        section, slot = field_names(self.Key)[:2]
        found: dict[Any, list[int]] = {}
        for key, leaf in self.items():
            bucket = getattr(key, section)
            if bucket_fn:
                bucket = bucket_fn(bucket)
            _count(found.setdefault(bucket, [0] * slots), getattr(key, slot), leaf)
        for bucket in sort(list(found)) if sort else found:
            yield (bucket, (show(bucket),) if show else None), found[bucket]


def _count(vals: list[int], slot: int, leaf: Any) -> None:
    if not 0 <= slot < len(vals):
        raise IndexError(f"slot {slot} of the histogram: there are {len(vals)}, from 0 on")
    vals[slot] = leaf.value


def _print_heading(section_header: Any, heading: Any) -> None:
    if heading is None:
        return
    bucket, shown = heading
    print(f"\n{section_header} = {bucket!r}" if shown is None else f"\n{section_header} = {shown[0]}")
