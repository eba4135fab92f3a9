"""The dialects by name; one line a dialect."""

from proxy.core.url.dialects import imgproxy, native, next, thumbor
from proxy.core.url.dialects.dialect import Dialect

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect for dialect in (native.DIALECT, imgproxy.DIALECT, thumbor.DIALECT, next.DIALECT)
}
