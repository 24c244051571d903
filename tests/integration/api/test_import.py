"""What importing the API loads: neither DICOM, nor arrays, nor a queue."""

import json
import subprocess
import sys

HEAVY = {"pydicom", "pynetdicom", "celery", "numpy", "scipy", "SimpleITK", "highdicom", "PIL"}
HEAVY |= {"onnxruntime", "openvino", "torch", "nibabel", "alembic", "redis"}


def test_importing_the_api_loads_nothing_heavy() -> None:
    program = (
        "import sys, json, service.api.main, service.api.app;"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", program], check=True, capture_output=True)

    loaded = set(json.loads(done.stdout))
    assert not loaded & HEAVY
    assert {"fastapi", "sqlalchemy", "jinja2"} <= loaded
