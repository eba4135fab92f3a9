"""The dialects by name. The package of a dialect has its name; its module `urls` is imported when the record is first
needed."""

from collections.abc import Iterator, Mapping
from importlib import import_module

from proxy.core.url.dialects.dialect import Dialect

_NAMES = ("native", "imgproxy", "thumbor", "next", "cloudflare", "cloudinary", "imgix", "imagekit")


class _Dialects(Mapping[str, Dialect]):
    def __getitem__(self, name: str) -> Dialect:
        if name not in _NAMES:
            raise KeyError(name)
        record: Dialect = import_module(f"proxy.core.url.dialects.{name}.urls").DIALECT
        return record

    def __iter__(self) -> Iterator[str]:
        return iter(_NAMES)

    def __len__(self) -> int:
        return len(_NAMES)


DIALECTS: Mapping[str, Dialect] = _Dialects()
