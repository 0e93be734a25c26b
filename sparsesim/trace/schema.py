"""The JSON schema of `manifest.json`: ``python -m sparsesim.trace.schema`` prints it."""

from __future__ import annotations

import json

from sparsesim.trace.trace import Manifest

if __name__ == "__main__":
    print(json.dumps(Manifest.model_json_schema(by_alias=True), indent=1))
