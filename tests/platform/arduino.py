"""PlatformIO's own check of a library folder, as `pio pkg pack` makes it:

    python arduino.py FOLDER ARCHIVE

That command fetches the list of all licences to look for the library's. Here the list is the one
licence that the project has, so that the check needs no network.
"""

import sys

from platformio.package.manifest.schema import ManifestSchema
from platformio.package.pack import PackagePacker

ManifestSchema.load_spdx_licenses = staticmethod(
    lambda: {"licenses": [{"licenseId": "MIT"}]})
print(PackagePacker(sys.argv[1]).pack(sys.argv[2]))
